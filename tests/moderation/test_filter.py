"""Innocent lines pass, obscene ones are masked or blocked, as the bot's policy says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation import Action, Moderator, Policy

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
    "😀 ура!\nвторая строка",
    "",
]
OBSCENE = ["блядь", "БЛЯДЬ!", "пиздец", "хуйня", "заебись", "б.л.я.д.ь", "хууууй", "fuck"]


@pytest.fixture(scope="module")
def masking() -> Moderator:
    return Moderator(Policy(profanity=Action.MASKED))


@pytest.fixture(scope="module")
def blocking() -> Moderator:
    return Moderator(Policy(profanity=Action.BLOCKED))


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent_lines_pass_unchanged(masking: Moderator, blocking: Moderator, text: str) -> None:
    for moderator in (masking, blocking):
        verdict = moderator.check(text)
        assert (verdict.action, verdict.category, verdict.text) == (Action.NONE, "", text)


@pytest.mark.parametrize("word", OBSCENE)
def test_obscene_lines_are_blocked(blocking: Moderator, word: str) -> None:
    verdict = blocking.check(f"ну {word} опять")
    assert (verdict.action, verdict.category, verdict.text) == (Action.BLOCKED, "profanity", "")


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
def test_obscene_words_are_masked_and_the_rest_is_kept(
    masking: Moderator, text: str, masked: str
) -> None:
    verdict = masking.check(text)
    assert (verdict.action, verdict.category, verdict.text) == (
        Action.MASKED,
        "profanity",
        masked,
    )


@settings(deadline=None)
@given(before=st.text(max_size=12), after=st.text(max_size=12))
def test_masking_stars_the_word_in_place_whatever_stands_around_it(
    masking: Moderator, before: str, after: str
) -> None:
    text = f"{before} блядь {after}"
    masked = masking.check(text).text
    assert len(masked) == len(text)
    assert masked[len(before) :][:7] == " ***** "
    assert all(new in (old, "*") for old, new in zip(text, masked, strict=True))


def test_allowed_words_pass_in_any_case_and_no_others() -> None:
    moderator = Moderator(Policy(profanity=Action.MASKED, allow=("Блядь",)))
    assert moderator.check("ну БЛЯДЬ").action is Action.NONE
    assert moderator.check("пиздец, блядь").text == "******, блядь"


def test_one_moderators_allowed_words_are_not_anothers(blocking: Moderator) -> None:
    Moderator(Policy(allow=("блядь",)))
    assert blocking.check("блядь").action is Action.BLOCKED


def test_policy_none_lets_all_pass() -> None:
    verdict = Moderator(Policy(profanity=Action.NONE)).check("ну блядь")
    assert (verdict.action, verdict.text) == (Action.NONE, "ну блядь")


def test_the_default_policy_blocks() -> None:
    assert Moderator(Policy()).check("ну блядь").action is Action.BLOCKED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("profanity", "sometimes"),
        ("replacement", ""),
        ("replacement", "х" * 501),
        ("allow", "блядь"),
        ("alow", ["блядь"]),
    ],
)
def test_bad_policies_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate({field: value})
    assert refused.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize("text", ["Вот чёрт", "Член клуба", "Страхуй меня", "Дурак ты"])
def test_mild_words_and_false_alarms_pass(text: str) -> None:
    assert Moderator(Policy()).check(text).action is Action.NONE
