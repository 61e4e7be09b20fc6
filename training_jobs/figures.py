"""Loss, perplexity and accuracy over the tokens with a loss, printed as run_clm does."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel

from training_jobs.packing import IGNORED, Batch

COUNTS = ("_samples", "_steps", "_tokens")
"""Ends of the names of whole numbers."""


@dataclass
class Figures:
    """Sums over tokens; `loss` is nats a token, `accuracy` the share of tokens guessed."""

    loss_sum: float = 0.0
    right: int = 0
    tokens: int = 0

    @property
    def loss(self) -> float:
        return self.loss_sum / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.tokens else math.nan

    @property
    def accuracy(self) -> float:
        return self.right / self.tokens if self.tokens else math.nan


def token_logits(model: GPT2LMHeadModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (n, vocabulary) and targets (n) of the n tokens with a loss.

    The head is computed for those positions alone: it is a third of a small model's work.
    """
    hidden = model.transformer(
        input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False
    ).last_hidden_state
    targets = batch.labels[:, 1:]
    wanted = targets != IGNORED
    return model.lm_head(hidden[:, :-1][wanted]), targets[wanted]


@torch.no_grad()
def evaluate(model: GPT2LMHeadModel, batches: Iterable[Batch], bf16: bool) -> Figures:
    """Figures of the model on the batches, dropout off."""
    was_training = model.training
    model.train(False)
    figures = Figures()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits, targets = token_logits(model, batch)
        loss = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")
        figures.loss_sum += float(loss)
        figures.right += int((logits.argmax(-1) == targets).sum())
        figures.tokens += targets.numel()
    model.train(was_training)
    return figures


def printed(title: str, values: dict[str, float | str]) -> str:
    """A block as run_clm's log_metrics writes it."""
    width = max(len(key) for key in values)
    lines = [f"***** {title} metrics *****"]
    for key, value in sorted(values.items()):
        text = str(value)
        if isinstance(value, float):
            text = str(int(value)) if key.endswith(COUNTS) else f"{value:.4f}"
        lines.append(f"  {key:<{width}} = {text:>10}")
    return "\n".join(lines)
