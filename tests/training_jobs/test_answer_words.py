"""Which words of answers go with which words of questions, learned from pairs."""

from itertools import pairwise
from pathlib import Path

import pytest

from contracts.answer_words import ANSWER_WORDS, AnswerWords
from contracts.dataset import Record
from contracts.turn import Role, Turn
from tests.training_jobs.test_relevance import PAIRS
from training_jobs import answer_words
from training_jobs.answer_words import FEWEST, learn, write_answer_words


def record(asked: str, answer: str) -> Record:
    roles = {Role.OTHER: asked, Role.PERSONA: answer}.items()
    turns = tuple(Turn(speaker="a", role=role, messages=(text,)) for role, text in roles)
    return Record(id="1", chat="1", turns=turns)


def test_a_word_goes_with_what_it_answers_and_not_with_what_is_said_to_everything() -> None:
    pairs = [
        ("где чай", "чай кончился же"),
        ("где борщ", "борщ остыл же"),
        ("где чай", "чай нальём же"),
    ]
    words = AnswerWords.of(learn(pairs * 9), [])
    assert words.fit("а чай?", "чай есть") > words.fit("а чай?", "борщ есть")
    assert words.fit("а чай?", "же") == 0.0


def test_right_answers_to_unseen_questions_come_first() -> None:
    words = AnswerWords.of(learn(PAIRS[:480]), [])
    unseen = PAIRS[480:]
    right = [
        words.fit(asked, answer) > words.fit(asked, other)
        for (asked, answer), (_, other) in pairwise(unseen)
    ]
    assert sum(right) > 0.6 * len(right)


def test_of_long_texts_fewer_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("чай " * 30, "нальём " * 30), ("борщ", "остыл"), ("чай", "вылит")]
    assert AnswerWords.of(learn(pairs), []).fit("борщ", "остыл") > 0
    monkeypatch.setattr(answer_words, "MOST_WORK", 600)
    assert AnswerWords.of(learn(pairs), []).fit("борщ", "остыл") == 0


def test_a_version_gets_hashes_alone_and_nothing_where_little_was_learned(tmp_path: Path) -> None:
    records = [record(*pair) for pair in PAIRS]
    write_answer_words(records[: FEWEST - 1], tmp_path)
    assert not any(tmp_path.iterdir())
    write_answer_words(records, tmp_path)
    words = AnswerWords.read(tmp_path / ANSWER_WORDS)
    assert words.fit("хочу борщкот", "будет тебе борщкот") > 0
    assert words.unknown("хочу", "будет тебе борщкот") == 0
    assert words.unknown("хочу", "будет тебе кыщборт") == 1
    assert "борщ".encode() not in (tmp_path / ANSWER_WORDS).read_bytes()
