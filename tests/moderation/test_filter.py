"""Innocent lines pass, obscene ones are masked or blocked, as the bot's policy says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.filter import Action, Moderator, Policy, Verdict

INNOCENT = [
    "привет, как дела?",
    "учёба закончилась, еду домой",
    "рубля не хватило на хлеб",
    "не надо злоупотреблять, лучше вообще не употреблять",
    "страховка на машину подорожала",
    "художник рисует мандарин",
    "команда психует, колеблется и тебя ждёт",
    "Скипидар и сукно на складе",
    "see you at the assembly class",
    *("Вот чёрт", "Член клуба", "Страхуй меня", "Дурак ты"),  # mild words and false alarms
    "😀 ура!\nвторая строка",
    "",
]
OBSCENE = ["блядь", "БЛЯДЬ!", "пиздец", "хуйня", "заебись", "б.л.я.д.ь", "хууууй", "fuck"]


MASKING = Moderator(Policy(profanity=Action.MASKED))
BLOCKING = Moderator(Policy())


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_lines_pass_unchanged(text: str) -> None:
    passed = Verdict(action=Action.NONE, category="", text=text)
    assert MASKING.check(text) == BLOCKING.check(text) == passed


@pytest.mark.parametrize("word", OBSCENE)
def test_obscene_lines_are_blocked_unless_the_policy_allows_them(word: str) -> None:
    text = f"ну {word} опять"
    blocked = Verdict(action=Action.BLOCKED, category="profanity", text="")
    assert BLOCKING.check(text) == blocked
    passed = Verdict(action=Action.NONE, category="", text=text)
    assert Moderator(Policy(profanity=Action.NONE)).check(text) == passed


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ну блядь, опять", "ну *****, опять"),
        ("Пиздец!!! какой-то", "******!!! какой-то"),
        ("what the fuck, друг", "what the ****, друг"),
        ("конец.блядь,начало", "конец.*****,начало"),
        ("блядь и ещё раз блядь", "***** и ещё раз *****"),
        ("раз\nхуйня\nтри 😀", "раз\n*****\nтри 😀"),
    ],
)
def test_obscene_words_are_masked_and_the_rest_is_kept(text: str, masked: str) -> None:
    expected = Verdict(action=Action.MASKED, category="profanity", text=masked)
    assert MASKING.check(text) == expected


@settings(deadline=None)
@given(before=st.text(max_size=12), after=st.text(max_size=12))
def test_masking_stars_the_word_in_place_whatever_stands_around_it(before: str, after: str) -> None:
    text = f"{before} блядь {after}"
    masked = MASKING.check(text).text
    assert len(masked) == len(text)
    assert masked[len(before) :][:7] == " ***** "
    assert all(new in (old, "*") for old, new in zip(text, masked, strict=True))


def test_allowed_words_pass_in_any_case_in_that_policy_alone() -> None:
    moderator = Moderator(Policy(profanity=Action.MASKED, allow=("Блядь",)))
    assert moderator.check("ну БЛЯДЬ").action is Action.NONE
    assert moderator.check("пиздец, блядь").text == "******, блядь"
    assert BLOCKING.check("блядь").action is Action.BLOCKED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("profanity", "sometimes"), ("replacement", ""), ("replacement", "х" * 501)),
        *(("allow", "блядь"), ("alow", ["блядь"])),
    ],
)
def test_bad_policies_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate({field: value})
    assert refused.value.errors()[0]["loc"][0] == field
