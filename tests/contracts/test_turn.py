"""A turn folds line breaks and refuses emptiness."""

import re
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.turn import Role, Turn, single_line

texts_with_breaks = st.lists(
    st.text(max_size=8) | st.sampled_from(["\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b"]),
    max_size=6,
).map("".join)


def turn(**changes: object) -> Turn:
    return Turn.model_validate(
        {"speaker": "anna", "role": "other", "messages": ["привет"]} | changes
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("привет", "привет"),
        ("  привет\t", "привет"),
        ("раз\nдва", "раз два"),
        ("раз \r\n\r\n два", "раз два"),
        ("раз\u2028два\u2029три\x85четыре", "раз два три четыре"),
        ("раз  два", "раз  два"),
        (" \n\u2028 ", ""),
    ],
)
def test_line_breaks_of_every_kind_become_one_space(text: str, line: str) -> None:
    assert single_line(text) == line


@given(texts_with_breaks)
def test_a_single_line_keeps_all_but_white_space_and_stays_as_it_is(text: str) -> None:
    line = single_line(text)
    assert len(line.splitlines()) <= 1
    kept = re.sub(r"[\0-\x08\x0e-\x1b\x7f]", "", normalize("NFC", text))
    assert "".join(line.split()) in ("".join(kept.split()), "")
    assert single_line(line) == line
    assert single_line(f"{text}я").endswith("я")


@pytest.mark.parametrize(
    "text",
    [
        *("\u200b", "\u200d\u2060\ufeff", "\u00ad", "\u202e", "\x00", "\x1b"),
        *("\u3164", "\u115f\u1160", "\uffa0", "\u2800", "\U0001d159", "\u2065", "\u00a0\u2003"),
        *("\u0301", "\u20dd", "\ufe0f", "\U000e0100", "\U000e0020", "\u034f", "\u0903", "\u180e"),
    ],
    ids=ascii,
)
def test_signs_that_nobody_sees_are_no_words(text: str) -> None:
    assert single_line(text) == single_line(f" {text}\n{text}") == ""


@pytest.mark.parametrize(
    "text",
    [
        *(
            "?",
            "❤\ufe0f",
            "👨\u200d👩\u200d👧",
            "🇷🇺",
            "1\ufe0f\u20e3",
            "е\u0308",
            "\u200bда",
            "ㅋ",
            "⠁",
        ),
        *("\U0001fae8", "\uf8ff", "한", "को"),  # the first is newer than what Python knows
    ],
    ids=ascii,
)
def test_signs_that_people_see_are_words(text: str) -> None:
    assert single_line(text) == normalize("NFC", text)


def test_text_is_a_line_a_message_and_the_role_tells_the_persona() -> None:
    assert turn(messages=["раз\nдва", "три"]).text == "раз два\nтри"
    assert [turn(role=role).is_persona for role in Role] == [True, False]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("messages", bad) for bad in ([], [""], ["да", " \u2028\n"])),
        *(("role", "bot"), ("reply_to", 0), ("at", "yesterday"), ("sender", "anna")),
    ],
)
def test_bad_turns_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        turn(**{field: value})
    assert refused.value.errors()[0]["loc"][0] == field


def test_a_turn_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        turn().speaker = "boris"  # type: ignore[misc]
