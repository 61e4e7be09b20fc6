"""hits@1 of ten: how the answers to pick from are chosen, and what counts as picked."""

import numpy as np
import pytest
import torch

from contracts.turn import Role, Turn
from tests.tiny_base import make_model
from training_jobs import hardware
from training_jobs.evaluation import answer_likelihoods
from training_jobs.evaluation.contexts import Context
from training_jobs.evaluation.hits import GROUP, group_contexts, likelihoods, picks, relative
from training_jobs.hardware import detect_hardware
from training_jobs.loss import document_losses


def context(number: int, answer: str) -> Context:
    turns = (Turn(speaker="a", role=Role.OTHER, messages=(f"{number}.{n}",)) for n in range(3))
    return Context((*turns,), Turn(speaker="p", role=Role.PERSONA, messages=(answer,)))


def test_groups_are_of_ten_answers_that_differ_and_of_two_turns_before_them() -> None:
    asked = [
        context(n, ("Да!", "да", "нет", "😀", "🚌")[n % 5] if n < 9 else str(n)) for n in range(35)
    ]
    groups = group_contexts(asked)
    assert [len(group) for group in groups] == [GROUP] * 3
    chosen = [each for group in groups for each in group]
    assert len({each.turns for each in chosen}) == 30
    assert all([turn.text[-1] for turn in each.turns] == ["1", "2"] for each in chosen)
    for group in groups:
        assert len({each.answer.text.strip("!").casefold() for each in group}) == GROUP
    assert groups == group_contexts(asked)
    assert group_contexts(asked[:9]) == []


@pytest.mark.parametrize(
    ("likelihoods", "plain", "against_others"),
    [
        ([[-1, -2], [-2, -1]], [True, True], [True, True]),
        ([[-1, -1], [-9, -1]], [False, True], [True, True]),  # a tie
        ([[-5, -1], [-9, -2]], [False, True], [True, True]),  # the second is always likelier
        ([[-5, -1], [-5, -1]], [False, True], [False, False]),  # nothing is told by the context
        ([[-800, -900], [-900, -800]], [True, True], [True, True]),  # and no underflow
    ],
)
def test_an_answer_is_picked_against_its_likelihood_after_other_contexts(
    likelihoods: list[list[float]], plain: list[bool], against_others: list[bool]
) -> None:
    found = np.array(likelihoods, dtype=np.float64)
    assert (picks(found), picks(relative(found))) == (plain, against_others)


@pytest.mark.parametrize("row_tokens", [20, 512])
def test_an_answer_is_as_likely_beside_others_as_alone(
    row_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_likelihoods, "ROW_TOKENS", row_tokens)
    monkeypatch.setattr(hardware, "_has_bf16", lambda device: False)  # which would be less exact
    model = make_model(["Привет, заходите", "как дела?"] * 5)
    torch.nn.init.normal_(model.model.lm_head.weight)
    group = [context(10**n, "заходите " * n + "а") for n in range(4)]
    alone = [
        Context(asked.turns, answered.answer).document(model.vocabulary, 256)
        for asked in group
        for answered in group
    ]
    losses = document_losses(model.model, alone, detect_hardware("fp32"))
    found = likelihoods(model, group)
    assert np.ptp(found) > 1
    np.testing.assert_allclose(found, -np.reshape(losses, (4, 4)), rtol=1e-4)
