"""The loss of a GPT-2: of a batch for training, of single documents to measure by."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel

from training_jobs.hardware import Hardware
from training_jobs.packing import IGNORED, Batch, Document, collate

CHUNK = 128
"""Positions at which the head is computed at once."""
TOKENS_AT_ONCE = 4096
"""Tokens of documents, with padding, that are measured at once."""


def hidden_states(model: GPT2LMHeadModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the head's inputs (n, width) and targets (n) at the n positions with a loss."""
    hidden = model.transformer(**batch.inputs).last_hidden_state
    targets = batch.labels[:, 1:]
    has_loss = targets != IGNORED
    return hidden[:, :-1][has_loss], targets[has_loss]


def summed_loss(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
    """Return the cross-entropy summed over the batch's tokens with a loss, in nats."""
    hidden, targets = hidden_states(model, batch)
    device = hidden.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    loss: Tensor = _ChunkedLoss.apply(hidden, model.lm_head.weight, targets, dtype)  # type: ignore[no-untyped-call]
    return loss


class _ChunkedLoss(torch.autograd.Function):
    """Cross-entropy of softmax(hidden · weightᵀ); products in `dtype`, sums in fp32.

    The head is a third of a small model's work and most of its memory: logits over 50,000 tokens at
    every position, and their gradients. So positions without a loss are left out beforehand, and
    the rest goes in chunks whose logits are dropped as soon as their gradient is known. torch's own
    `linear_cross_entropy` (2.13) is as fast in fp32, but takes three times as long in bf16, in
    which it adds up the loss as well.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype
    ) -> Tensor:
        total = torch.zeros((), device=hidden.device)
        inputs, head = hidden.to(dtype), weight.to(dtype)
        hidden_grad = torch.empty_like(hidden)
        # The gradient by the logits is kept, in `dtype`, only where the head itself learns.
        logits_grad = inputs.new_empty((len(hidden), len(weight))) if weight.requires_grad else None
        for start in range(0, len(hidden), CHUNK):
            part = slice(start, start + CHUNK)
            logs = torch.log_softmax(inputs[part] @ head.T, -1, dtype=torch.float32)
            rows = torch.arange(len(logs), device=hidden.device)
            total -= logs[rows, targets[part]].sum()
            grad = logs.exp_()  # of the loss by the logits: softmax minus the one-hot target
            grad[rows, targets[part]] -= 1.0
            chunk_grad = grad.to(dtype)
            hidden_grad[part] = chunk_grad @ head
            if logits_grad is not None:
                logits_grad[part] = chunk_grad
        ctx.save_for_backward(hidden_grad, *([] if logits_grad is None else [logits_grad, inputs]))
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        hidden_grad, *saved = ctx.saved_tensors
        weight_grad = (saved[0].T @ saved[1]).float().mul_(outer) if saved else None
        return hidden_grad.mul_(outer), weight_grad, None, None


@torch.no_grad()
def document_losses(
    model: GPT2LMHeadModel, documents: Sequence[Document], hardware: Hardware
) -> list[float]:
    """Return the summed loss of each document in nats; leaves the model as for use."""
    losses = [0.0] * len(documents)
    # documents of about one length together need the least padding
    order = sorted(range(len(documents)), key=lambda index: -len(documents[index].ids))
    model.to(hardware.device).train(False)  # type: ignore[arg-type]
    while order:
        longest = len(documents[order[0]].ids)
        count = max(1, TOKENS_AT_ONCE // longest)
        chosen, order = order[:count], order[count:]
        batch = collate([[documents[i]] for i in chosen], longest, 0).to(hardware.device)
        with hardware.autocast():
            hidden, targets = hidden_states(model, batch)
            chunks = torch.split(hidden, CHUNK), torch.split(targets, CHUNK)
            by_token = [
                cross_entropy(model.lm_head(part).float(), wanted, reduction="none")
                for part, wanted in zip(*chunks, strict=True)
            ]
        by_document = torch.split(torch.cat(by_token), [documents[i].loss_tokens for i in chosen])
        for index, own in zip(chosen, by_document, strict=True):
            losses[index] = float(own.sum())
    return losses
