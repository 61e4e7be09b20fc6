"""Loss, perplexity and accuracy over the tokens with a loss, printed as run_clm does."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from training_jobs.hardware import Hardware
from training_jobs.head import CHUNK, hidden_states
from training_jobs.packing import Batch

COUNTS = ("_samples", "_steps", "_tokens")
"""Ends of the names of whole numbers."""


@dataclass
class Figures:
    """Sums over tokens; `loss` is nats a token, `accuracy` the share of tokens guessed."""

    loss_sum: float = 0.0
    right: int = 0
    tokens: int = 0
    blocks: int = 0

    def add(self, logits: Tensor, targets: Tensor) -> None:
        """Count positions by their logits (n, vocabulary) and the tokens that came (n)."""
        self.loss_sum += float(nn.functional.cross_entropy(logits, targets, reduction="sum"))
        self.right += int((logits.argmax(-1) == targets).sum())
        self.tokens += targets.numel()

    @property
    def loss(self) -> float:
        return self.loss_sum / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.tokens else math.nan

    @property
    def accuracy(self) -> float:
        return self.right / self.tokens if self.tokens else math.nan


@torch.no_grad()
def measure(model: GPT2LMHeadModel, batches: Iterable[Batch], hardware: Hardware) -> Figures:
    """Figures of the model on the batches, dropout off."""
    was_training = model.training
    model.train(False)
    figures = Figures()
    for batch in batches:
        figures.blocks += len(batch.input_ids)
        with hardware.autocast():
            hidden, targets = hidden_states(model, batch.to(hardware.device))
            for part, chosen in zip(
                torch.split(hidden, CHUNK), torch.split(targets, CHUNK), strict=True
            ):
                figures.add(model.lm_head(part).float(), chosen)
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
