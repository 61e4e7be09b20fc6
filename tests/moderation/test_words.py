"""Obscene words are found in every form and disguise, innocent ones that resemble them pass."""

from pathlib import Path

import pytest

from moderation.moderator import Action, Moderator
from moderation.policy import Category, Level, Policy

OBSCENE = Moderator(Policy(preset="off", profanity=Level.STRICT))
STRICT = Moderator(Policy.named("strict"))
SOFT = Moderator(Policy.named("soft"))
ROWS = [
    line.split("\t")
    for line in (Path(__file__).parent / "disguises.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
DISGUISES = {
    is_obscene: [each for row in ROWS if row[1] == is_obscene for each in row[2].split(" | ")]
    for is_obscene in "01"
}
ROOTS = {
    "хуй": "хуй хуя хуйня нахуй похуй нихуя охуел охуенно хуесос хуярить страхуёвина",
    "пизда": "пизда пиздец спиздил распиздяй пиздюк опизденеть пиздёж",
    "блядь": "блядь бляди блядский выблядок блядство бля",
    "ебать": "ебать ёбаный заебал выебли наебать уебок долбоёб съебись ебля мозгоёб мозгойоб",
    "мудак": "мудак мудачьё мудила мудозвон",
    "пидор": "пидор пидорас пидарасы опидорасило недопидор европидарасы лайкодрочер",
    "transliterated": "blyad suka pizdec nahuy huilo zaebal ebat mudak gandon",
    "English": "fuck fucking motherfucker shit bullshit bitch cunt asshole",
}
INNOCENT = (
    "употреблять хлебать страховка рубля сабля мандарин потребитель скунс подстраховать застрахуй "
    "Херсон психея команда заклёпка сукно барсук колебать корабля дубляж оскорблять учёба мебель "
    "скипидар спидометр художник хулиган плохую тихую сухую звезда поезд мандат гондола мудрец "
    "лапидарный агростройобъединение "
    "себе тебя небо погреб требовать ансамбля употребление психует подстрахует заштрихуй Ипатьев "
    "Олеговна двоебрачие суккуб ссылка ссора рассада сражение сраму жидкий хохолок хачапури"
)
LATIN = (
    "ebay ebony book class assembly sushi manual suite hue husband user shuttle Scunthorpe peace"
)


@pytest.mark.parametrize("text", DISGUISES["1"])
def test_a_disguised_obscene_word_is_found_where_it_stands(text: str) -> None:
    verdict = OBSCENE.check(f"вот {text} опять")
    assert verdict.category == Category.PROFANITY
    assert min(start for start, _ in verdict.spans) >= 4
    assert max(end for _, end in verdict.spans) <= 4 + len(text)


@pytest.mark.parametrize("text", DISGUISES["0"])
def test_a_disguised_innocent_word_passes(text: str) -> None:
    assert OBSCENE.check(f"вот {text} опять").action is Action.NONE


@pytest.mark.parametrize("before", ["и", "в", "не", "ты", "по"])
def test_innocent_words_pass_after_a_short_word(before: str) -> None:
    said = [f"{before} {word}" for word in (*INNOCENT.split(), "дебют")]
    assert [each for each in said if STRICT.check(each).action is not Action.NONE] == []


def test_the_table_has_300_disguises_of_60_obscene_and_60_innocent_words() -> None:
    assert sum(map(len, DISGUISES.values())) >= 300
    assert [sum(row[1] == kind for row in ROWS) for kind in "10"] >= [60, 60]


@pytest.mark.parametrize("root", ROOTS)
def test_an_obscene_root_is_found_in_all_its_forms(root: str) -> None:
    words = ROOTS[root].split()
    assert [word for word in words if SOFT.check(word).category != "profanity"] == []


@pytest.mark.parametrize("words", [INNOCENT, LATIN])
def test_innocent_words_pass_also_at_the_strictest(words: str) -> None:
    assert [word for word in words.split() if OBSCENE.check(word).action is not Action.NONE] == []


@pytest.mark.parametrize(
    "text",
    ["в 10-15 минут", "и т.д. и т.п., т.е. всё", "а, б, в, г, д", "ура!.. ты где?", "3 х 4 = 12",
     "я бы вешал", "я бы веник взял", "vk.com и ukr.net", "всё будет хорошо",
     "уже поел", "5 % от 100", "*важно* и **очень**"],
)  # fmt: skip
def test_marks_and_short_words_of_ordinary_texts_hide_nothing(text: str) -> None:
    assert OBSCENE.check(text).action is Action.NONE


@pytest.mark.parametrize(
    "text",
    ["3.14здец", "3,14дор", "314здят", "х,,й", "б,,ть", "ху… ня", "пи... ды", "п..... бол",
     "е.. ный", "а х..й знает", "и х..я себе", "какие-то х...", "ну и пи...", "бл… ну", "г'ады"],
)  # fmt: skip
def test_what_stands_for_letters_is_read_as_them(text: str) -> None:
    assert OBSCENE.check(text).action is not Action.NONE


@pytest.mark.parametrize(
    "text",
    ["М... М... М...", "Ну что ж... Хочет", "пи-пи, ха... да", "Да... издалека", "3,14 рубля",
     "все,даже я", "ах... в лес", "на 3.14 больше", "е... как жить", "тр... пошел"],
)  # fmt: skip
def test_dots_of_somebody_who_hesitates_hide_nothing(text: str) -> None:
    assert OBSCENE.check(text).action is Action.NONE


def test_a_word_may_be_split_over_the_messages_of_one_turn() -> None:
    for messages in (["пиз", "дец"], ["х", "у", "й"], ["ну бля", "дство"], ["ху", "йня"]):
        assert OBSCENE.check(messages).category == "profanity", messages
    assert OBSCENE.check(["на", "дом", "ехать"]).action is Action.NONE


def test_an_insult_that_is_hidden_counts_as_obscene() -> None:
    assert OBSCENE.check("ты дебил").action is Action.NONE
    assert OBSCENE.check("ты дeбил").rule == "hidden insult"


def test_mild_words_and_likely_insults_count_at_the_strict_level_alone() -> None:
    for text in (
        "вот жопа",
        "ты дурак",
        "закрой свой рот",
        "закрой  свой\nрот",
        "я тебя убью",
        "сдохни тварь",
    ):
        assert SOFT.check(text).action is Action.NONE, text
        assert STRICT.check(text).action is Action.BLOCKED, text
    assert STRICT.check("Какая хорошая погода! Пойдём гулять?").action is Action.NONE
