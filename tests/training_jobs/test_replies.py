"""Replies of a converted model, as an evaluation measures them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from contracts.answer_words import ANSWER_WORDS, AnswerWords
from contracts.dataset import HELDOUT, read_records
from contracts.sampling import Sampling
from tests.conftest import Toy
from training_jobs.evaluation.contexts import select_contexts
from training_jobs.evaluation.replies import Reply, generate_replies
from training_jobs.language_model import load_model
from training_jobs.run_folder import CONVERTED, MODEL

NOTHING = AnswerWords.of({}, [])


@pytest.fixture
def converted(toy: Toy, tmp_path: Path) -> Path:
    return shutil.copytree(toy.run / CONVERTED, tmp_path / "converted")


def draw(toy: Toy, converted: Path, sampling: Sampling) -> list[Reply]:
    contexts = select_contexts(read_records(toy.dataset / HELDOUT), 9, encode=ords, budget=200)
    return generate_replies(converted, load_model(toy.run / MODEL), contexts, sampling)


def ords(text: str) -> list[int]:
    return list(map(ord, text))


@pytest.mark.parametrize("changed", [{"top_k": 0}, {"temperature": 0.0}])
@pytest.mark.parametrize("is_ranked", [False, True])
def test_replies_are_drawn_by_whatever_sampling_a_bot_file_may_ask_for(
    toy: Toy, converted: Path, changed: dict[str, float], is_ranked: bool
) -> None:
    if is_ranked:
        NOTHING.write(converted / ANSWER_WORDS)
    assert len(draw(toy, converted, Sampling.model_validate(changed))) == 9


def test_what_is_measured_is_the_first_of_what_is_ranked(
    toy: Toy, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = list[Sequence[str]]()

    def last_first(self: AnswerWords, asked: str, answers: Sequence[str]) -> list[int]:
        drawn.append(answers)
        return [1, 0]

    NOTHING.write(converted / ANSWER_WORDS)
    monkeypatch.setattr(AnswerWords, "order", last_first)
    replies = ["\n".join(reply.messages) for reply in draw(toy, converted, Sampling())]
    assert replies == [last for _, last in drawn] != [first for first, _ in drawn]
