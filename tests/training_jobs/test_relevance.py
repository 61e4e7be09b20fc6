"""The judge of relevance, and words that nobody knows."""

from random import Random

import pytest

from training_jobs.evaluation.relevance import exchanged, relevance
from training_jobs.evaluation.text_figures import unknown_words

ROOTS = ("борщ", "чай", "кот", "снег", "мост", "лес", "хлеб", "сон", "дом", "сад", "мёд", "рок")
THINGS = [f"{first}{second}" for first in ROOTS for second in ROOTS if first != second]
PAIRS = [
    (ask.format(thing), answer.format(thing))
    for thing in THINGS
    for ask, answer in (
        ("ты любишь {}?", "{} люблю"),
        ("что такое {}", "это {}, без него никак"),
        ("а {} где", "вон там {} стоит"),
        ("хочу {}", "будет тебе {}"),
    )
]


def test_replies_that_answer_are_told_from_replies_to_something_else() -> None:
    learned, heldout = PAIRS[: 4 * 120], PAIRS[4 * 120 :]
    learned = learned + learned[:100]
    asked, real = (list(each) for each in zip(*heldout, strict=True))
    judged, areas = relevance({"real": real, "tuned": real[1:] + real[:1]}, asked, learned)
    assert areas.keys() == {"all", "short", "middle", "long"}
    assert min(areas.values()) > 0.9
    assert judged["real"].low > judged["tuned"].high
    assert judged["real"].low > judged["shuffled"].high


@pytest.mark.parametrize(("asked", "learned"), [(["а"], PAIRS), (["а", "б"], PAIRS[:100])])
def test_too_little_to_judge_by_gives_no_figure(
    asked: list[str], learned: list[tuple[str, str]]
) -> None:
    assert relevance({"real": asked}, asked, learned) == ({}, {})


def test_answers_are_exchanged_with_others_of_about_their_length() -> None:
    pairs = [(str(number), "а" * number) for number in range(1, 101)]
    found = exchanged(pairs, Random(1))
    assert [turn for turn, _ in found] == [turn for turn, _ in pairs]
    assert not set(found) & set(pairs)
    assert sum(abs(len(answer) - int(turn)) <= 3 for turn, answer in found) >= 97


@pytest.mark.parametrize("answers", [["да", "Да!"] * 20 + ["ну", "ага"], list("абаа")])
def test_an_answer_in_the_same_words_is_no_other_answer(answers: list[str]) -> None:
    pairs = [(answer.strip("!").casefold(), answer) for answer in answers]
    for seed in range(9):
        assert not set(exchanged(pairs, Random(seed))) & {*pairs, ("да", "Да!"), ("да", "да")}


def test_where_all_answers_are_the_same_they_stay() -> None:
    pairs = [(str(number), "да") for number in range(9)]
    assert exchanged(pairs, Random(1)) == pairs


def test_a_word_is_unknown_that_no_dictionary_data_set_or_question_has() -> None:
    shares = {
        "Автобус едет на мост.": 0.0,
        "Автобус кукумбит на мост.": 1.0,
        "кекнул и поехал": 0.0,  # learned
        "шмяковка? едет!": 0.0,  # asked
        "Кто-то едет, ёлки": 0.0,
        "": 0.0,
        "ok 👍 7": 0.0,
    }
    groups = {answer: [answer] for answer in shares}
    found = unknown_words(groups, ["где шмяковка"], ["он кекнул"])
    assert {answer: each.value for answer, each in found.items()} == shares
    assert unknown_words(groups, ["where"], ["nobody speaks it"]) == {}


@pytest.mark.parametrize(
    "learned", [[("а", "б")] * 500, [(chr(n), chr(n + 999)) for n in range(5000, 5500)]]
)
def test_texts_that_teach_nothing_are_judged_all_the_same(learned: list[tuple[str, str]]) -> None:
    judged, areas = relevance({"real": ["б"] * 5, "tuned": [""] * 5}, ["а"] * 5, learned)
    assert set(areas.values()) == {0.5}
    assert judged["real"] == judged["shuffled"]
