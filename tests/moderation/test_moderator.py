"""A policy's levels decide what is masked and blocked, and how far a growing text can be judged."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from moderation.moderator import Action, Moderator, Verdict
from moderation.policy import LEVELS, Category, Level, Policy, Preset
from tests.moderation.test_words import DISGUISES

FRIENDS, FAMILY, OFF = (Moderator(Policy(preset=preset)) for preset in ("friends", "family", "off"))
TEXTS = {
    Category.PROFANITY: "ну хуйня",
    Category.INSULT: "ты ублюдок",
    Category.PRIVATE: "мой телефон +7 912 345-67-89",
    Category.LINK: "заходи на https://example.com/chat",
}
PIECES = [*DISGUISES["1"], *DISGUISES["0"], "и", "на", "а", "привет", "мир.", "х", "у", "й", "\n"]


@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("preset", Preset)
def test_a_preset_has_a_level_for_each_category(preset: Preset, category: Category) -> None:
    verdict = Moderator(Policy(preset=preset)).check(TEXTS[category])
    actions = {Level.OFF: "none", Level.SOFT: "masked", Level.STRICT: "blocked"}
    level = LEVELS[preset][category]
    assert (verdict.action, verdict.category) == (
        actions[level],
        category if level != "off" else "",
    )


@pytest.mark.parametrize("category", Category)
def test_a_level_of_ones_own_overrides_the_preset(category: Category) -> None:
    policy = Policy.model_validate({"preset": "off", category: "soft"})
    assert Moderator(policy).check(TEXTS[category]).action is Action.MASKED
    assert Moderator(policy).check("привет, как дела?").action is Action.NONE


def test_the_first_category_is_named_and_all_are_masked() -> None:
    verdict = Moderator(Policy.named("soft")).check("пиши на i@ya.ru, ты, хуйня")
    assert (verdict.category, verdict.rule, verdict.action) == ("profanity", "хуй", "masked")
    assert verdict.text == "пиши на *******, ты, *****"


def test_older_levels_and_yaml_s_reading_of_off_are_understood() -> None:
    older = {"blocked": "strict", "masked": "soft", "none": "off", False: "off"}
    for value, level in older.items():
        assert Policy.model_validate({"profanity": value}).level(Category.PROFANITY) == level
    assert Policy.model_validate({"preset": False}).preset is Preset.OFF


def test_a_policy_is_named_by_preset_or_level() -> None:
    assert Policy.named("family").preset is Preset.FAMILY
    assert {Policy.named("strict").level(each) for each in Category} == {Level.STRICT}
    with pytest.raises(ValueError, match="nobody"):
        Policy.named("nobody")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("profanity", "sometimes"), ("replacement", ""), ("replacement", "х" * 501)),
        *(
            ("deny", [" "]),
            ("deny", [""]),
            ("allow", "блядь"),
            ("alow", ["блядь"]),
            ("preset", "enemies"),
        ),
    ],
)
def test_bad_policies_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate({field: value})
    assert refused.value.errors()[0]["loc"][0] == field


def test_allowed_words_pass_and_denied_ones_do_not_in_any_case_or_disguise() -> None:
    moderator = Moderator(Policy(allow=("Блядь",), deny=("Работа", "новый год")))
    assert moderator.check("ну БЛЯДЬ").action is Action.NONE
    assert moderator.check("пиздец, блядь").text == "******, блядь"
    assert moderator.check("опять p а б о т а").text == "опять * * * * * *"
    assert moderator.check("Новый год!").text == "***** ***!"
    assert Moderator(Policy(preset=Preset.OFF, deny=("работа",))).check("работа").text == "******"
    assert moderator.check("работать").action is Action.NONE


@pytest.mark.parametrize("denied", ["новый год", " Новый  год", "новый\nгод "])
@pytest.mark.parametrize("text", ["новый год", "Новый  год", "новый\nгод", "нoвый\u00a0год"])
def test_a_denied_phrase_is_found_however_it_is_spaced(denied: str, text: str) -> None:
    assert "год" not in Moderator(Policy(preset=Preset.OFF, deny=(denied,))).check(text).text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ну блядь, опять", "ну *****, опять"),
        ("Пиздец!!! какой-то", "******!!! какой-то"),
        ("what the fuck, друг", "what the ****, друг"),
        ("конец.блядь,начало", "конец.*****,начало"),
        ("блядь и ещё раз блядь", "***** и ещё раз *****"),
        ("раз\nхуйня\nтри 😀", "раз\n*****\nтри 😀"),
        ("ну п и з д а вот", "ну * * * * * вот"),
        ("ну х\u200bу\u0336й вот", "ну ***** вот"),
    ],
)
def test_masking_stars_the_words_and_keeps_the_length(text: str, masked: str) -> None:
    verdict = FRIENDS.check(text)
    assert (verdict.action, verdict.text) == (Action.MASKED, masked)


@settings(deadline=None)
@given(before=st.text(max_size=12), after=st.text(max_size=12))
def test_masking_stars_the_word_in_place_whatever_stands_around_it(before: str, after: str) -> None:
    text = f"{before} блядь {after}"
    masked = FRIENDS.check(text).text
    assert len(masked) == len(text)
    assert "блядь" not in masked
    assert all(new in (old, "*") for old, new in zip(text, masked, strict=True))


def test_the_messages_of_a_turn_are_judged_together() -> None:
    assert FRIENDS.check(["пиз", "дец"]).text == "***\n***"
    assert FRIENDS.check([]) == Verdict(action=Action.NONE, text="")


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(" ".join))
@pytest.mark.parametrize("moderator", [FRIENDS, FAMILY], ids=["friends", "family"])
def test_what_can_be_judged_of_a_growing_text_is_judged_as_in_the_whole(
    moderator: Moderator, text: str
) -> None:
    whole = moderator.check(text).spans
    for end in (*(space.end() for space in re.finditer(r"\s", text)), len(text)):
        ready = moderator.unfinished_at(text[:end])
        assert ready <= end
        spans = moderator.check_growing(text[:end]).spans
        seen = {index for span in spans for index in range(*span)}
        shown = {index for span in whole for index in range(*span) if index < ready}
        assert not {index for index in shown - seen if not text[index].isspace()}, text[:ready]


@pytest.mark.parametrize(
    "piece", ["х", "х ", "х.", "а-", "хуй", "x", "0", ". ", "\u0301", "@", "й\n", "x:", "a.a", "х'"]
)
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    """100,000 characters take a second; in proportion to the square they would take minutes."""
    text = piece * (100_000 // len(piece))
    assert FAMILY.check(text).action in Action
    assert FAMILY.unfinished_at(text) <= len(text)
