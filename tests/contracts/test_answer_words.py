"""Which of several answers goes best with a question, by the words of both."""

from pathlib import Path

import pytest

from contracts.answer_words import ANSWER_WORDS, AnswerWords, pair_key, whole_words, word_key
from contracts.refusal import Refusal

PAIRS = {("кот", "мурлы"): 9.0, ("кот", "усы"): 3.0, ("люби", "очень"): 2.0}
LEARNED = "мурлыкает, мурлыка, мурлычет, усы и хвост, едем дальше, очень, дом"
WORDS = AnswerWords.of(
    {pair_key(*pair): lift for pair, lift in PAIRS.items()}, map(word_key, whole_words(LEARNED))
)


@pytest.mark.parametrize(
    ("asked", "best_first"),
    [
        ("Где кот?", ["Мурлыкает.", "Усы!", "Усы и хвост", "Едем дальше", ""]),
        ("кот, люби!", ["мурлыка", "усы", "очень", "дом"]),  # none of the asked words is another's
        ("Где кот?", ["Едем дальше", "Едем вдаль", "Мчим вдаль"]),  # none, one, two unknown
        ("Жук?", ["Жук, мы", "мы не"]),  # what was asked is known
        ("Где кот?", ["едем 5, дом-дом 🚌", "мурл"]),  # numbers and signs are no words
    ],
)
def test_answers_are_ranked_by_words_that_exist_and_that_go_with_what_was_asked(
    asked: str, best_first: list[str]
) -> None:
    last_first = best_first[::-1]
    assert [last_first[place] for place in WORDS.order(asked, last_first)] == best_first


@pytest.mark.parametrize("asked", ["???", "собака"])
def test_answers_to_what_tells_nothing_stay_in_order(asked: str) -> None:
    assert WORDS.order(asked, ["дом", "мурлычет", "", "усы"]) == [0, 1, 3, 2]


def test_of_long_texts_the_end_of_the_question_and_the_beginning_of_the_answer_count() -> None:
    long = "дом " * 100
    assert WORDS.fit(f"{long} кот", f"мурлычет {long}") > 0
    assert WORDS.fit(f"кот {long}", "мурлычет") == WORDS.fit("кот", f"{long} мурлычет") == 0


def test_a_file_is_read_as_it_was_written_and_a_broken_one_refused(tmp_path: Path) -> None:
    path = tmp_path / ANSWER_WORDS
    WORDS.write(path)
    assert AnswerWords.read(path) == WORDS
    assert b"\xd0" * 2 not in path.read_bytes()
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Refusal, match="is broken; convert and publish again"):
        AnswerWords.read(path)


def test_of_nothing_learned_nothing_is_said() -> None:
    assert AnswerWords.of({}, []).fit("кот", "мурлычет") == 0.0
