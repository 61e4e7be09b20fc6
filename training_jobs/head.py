"""The loss of a batch, with the head computed only where there is loss.

The head is a third of a small model's work and most of its memory: logits over 50,000 tokens. So
positions without a loss are left out, and the rest goes in chunks whose gradient is taken on the
way.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from transformers import GPT2LMHeadModel

from training_jobs.packing import IGNORED, Batch

CHUNK = 128
"""Positions at once."""


def hidden_states(model: GPT2LMHeadModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the head is to see, (n, width), and what it is to say, (n), at the n positions."""
    hidden = model.transformer(
        input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False
    ).last_hidden_state
    targets = batch.labels[:, 1:]
    wanted = targets != IGNORED
    return hidden[:, :-1][wanted], targets[wanted]


def summed_loss(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
    """Cross-entropy summed over the batch's tokens with a loss, in nats."""
    hidden, targets = hidden_states(model, batch)
    weight = model.lm_head.weight
    kind = torch.get_autocast_dtype(hidden.device.type)
    bf16 = torch.is_autocast_enabled(hidden.device.type)
    chosen = kind if bf16 else hidden.dtype
    loss: Tensor = _ChunkedLoss.apply(hidden, weight, targets, chosen)  # type: ignore[no-untyped-call]
    return loss


class _ChunkedLoss(torch.autograd.Function):
    """softmax(hidden · weightᵀ) against the targets; products in `kind`, sums in fp32."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, kind: torch.dtype
    ) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        seen, narrow = hidden.to(kind), weight.to(kind)
        to_hidden = torch.empty_like(hidden)
        learn_head = weight.requires_grad
        slopes = seen.new_empty((len(hidden), len(weight))) if learn_head else None
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            logs = torch.log_softmax(seen[part] @ narrow.T, -1, dtype=torch.float32)
            rows = torch.arange(len(logs), device=hidden.device)
            total -= logs[rows, targets[part]].sum()
            slope = logs.exp_()
            slope[rows, targets[part]] -= 1.0
            narrow_slope = slope.to(kind)
            to_hidden[part] = narrow_slope @ narrow
            if slopes is not None:
                slopes[part] = narrow_slope
        ctx.save_for_backward(to_hidden, *([] if slopes is None else [slopes, seen]))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        to_hidden, *head = ctx.saved_tensors
        to_weight = (head[0].T @ head[1]).float().mul_(outer) if head else None
        return to_hidden.mul_(outer), to_weight, None, None
