"""How likely a model finds each of several answers after each of several contexts.

A context is read once for all answers: they stand behind it in one row, and each sees the context
and itself alone.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel

from contracts.prompt import Rendered
from training_jobs.hardware import detect_hardware

CONTEXT, PADDING = 0, -1
"""Whose a token of a row is; answers are counted from 1."""
ROW_TOKENS = 512
"""Most tokens of the answers of a row, if one alone has no more: time and memory of attention grow
with their square."""


def answer_likelihoods(
    model: GPT2LMHeadModel, contexts: Sequence[list[int]], answers: Sequence[Rendered]
) -> NDArray[np.float64]:
    """Return the log-likelihoods of rendered answers (columns) after contexts (rows)."""
    lengths = accumulate(len(answer.ids) for answer in answers)
    count = max(1, sum(length <= ROW_TOKENS for length in lengths))
    found = _score(model, contexts, answers[:count])
    if count == len(answers):
        return found
    return np.hstack([found, answer_likelihoods(model, contexts, answers[count:])])


@torch.no_grad()
def _score(
    model: GPT2LMHeadModel, contexts: Sequence[list[int]], answers: Sequence[Rendered]
) -> NDArray[np.float64]:
    hardware, width = detect_hardware("auto"), max(map(len, contexts))
    rows = torch.tensor([_row(context, answers, width) for context in contexts])
    model.to(hardware.device).train(False)  # type: ignore[arg-type]
    with hardware.autocast():
        inputs = _inputs(rows.to(hardware.device))
        hidden = model.transformer(**inputs).last_hidden_state[:, width - 1 : -1]
        has_loss = [flag for answer in answers for flag in answer.loss_mask]
        targets = inputs["input_ids"][0, width:][has_loss]
        losses = [
            cross_entropy(model.lm_head(row[has_loss]).float(), targets, reduction="none")
            for row in hidden
        ]
    counts = [sum(answer.loss_mask) for answer in answers]
    sums = [[-float(own.sum()) for own in torch.split(row, counts)] for row in losses]
    return np.asarray(sums, dtype=np.float64)


def _row(context: list[int], answers: Sequence[Rendered], width: int) -> list[list[int]]:
    """Return the ids of a row, their positions, and whose they are; contexts end at `width`."""
    padding = [0] * (width - len(context))
    ids, positions = [*padding, *context], [*padding, *range(len(context))]
    owners = [PADDING] * len(padding) + [CONTEXT] * len(context)
    for number, answer in enumerate(answers, 1):
        ids += answer.ids
        positions += range(len(context), len(context) + len(answer.ids))
        owners += [number] * len(answer.ids)
    return [ids, positions, owners]


def _inputs(rows: Tensor) -> dict[str, Any]:
    """Return the model's arguments for rows of shape (rows, 3, tokens)."""
    ids, positions, owners = rows.unbind(1)
    is_seen = (owners[:, :, None] == owners[:, None]) | (owners[:, None] == CONTEXT)
    mask = torch.where(is_seen.tril()[:, None], 0.0, torch.finfo(torch.float32).min)
    return {"input_ids": ids, "position_ids": positions, "attention_mask": mask, "use_cache": False}
