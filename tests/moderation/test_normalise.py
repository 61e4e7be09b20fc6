"""Disguises are read as what they hide, and each letter is known by where it stood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.normalise import normalise

TEXTS = st.text() | st.text("хХуУйЙxXyеeёo0@$3 .-_}{|)(\u0301\u0306\u200bıЙ🅱ⓐ𝓑ӽқабв", max_size=40)


@pytest.mark.parametrize(
    ("text", "look"),
    [
        ("Привет, Мир!", "привет, мир!"),
        ("cкopo", "скоро"),
        ("дeбuл0в", "дебилов"),
        ("мοлοкο", "молоко"),
        ("қөкҙ", "кокз"),
        ("с\u200bл\u00adо\u0336во", "слово"),
        ("й и й".replace("й", "и\u0306"), "йий"),
        ("оооочень", "очень"),
        ("длинная", "длинная"),
        ("с л о в о и дом", "словои дом"),
        ("с.л.о.в.о", "слово"),
        ("слов@р д о м", "словар дом"),
        ("}{леб и }|{ук", "хлеб и жук"),
        ("🅱𝓾𝓼 ⓐ", "bus a"),
        ("Ёлка", "елка"),
        ("book 3", "book 3"),
        ("fuсk sh1t b@d", "fuck sh1t bad"),
    ],
)
def test_a_disguise_is_read_as_what_it_hides(text: str, look: str) -> None:
    assert normalise(text).look == look


def test_latin_letters_are_also_read_by_their_sound() -> None:
    assert normalise("пpавдuвыu").sound == "ппавдувыу"


@given(TEXTS)
def test_normalising_twice_is_as_once(text: str) -> None:
    once = normalise(text).look
    assert normalise(once).look == once


@given(TEXTS, TEXTS)
def test_no_character_moves(before: str, after: str) -> None:
    """A word that stands by itself is found where it stood, whatever is around it."""
    text = f"{before}\n\n\n\nслово\n\n\n\n{after}"
    plain = normalise(text)
    assert len(plain.look) == len(plain.sound) == len(plain.at) - 1
    assert [*plain.at] == sorted(plain.at)
    assert plain.at[-1] == len(text)
    start = len(before) + 4
    assert [*plain.at].index(start) == plain.look.index("слово", plain.look.count("\n", 0, 0))
