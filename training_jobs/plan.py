"""What is learned at which step: the same for the same seed, from whatever step on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from training_jobs.packing import Batch, Document, collate, pack

Blocks = list[list[Document]]


@dataclass
class Plan:
    """Packed blocks, shuffled anew each epoch.

    step_blocks      blocks in an optimizer step
    at_once_blocks   blocks in one pass over the model
    """

    blocks: Blocks
    block_tokens: int
    pad: int
    step_blocks: int
    at_once_blocks: int
    epochs: float
    max_steps: int | None
    seed: int
    _epoch: int = -1
    _order: Blocks = field(default_factory=list)

    @classmethod
    def of(
        cls, docs: Sequence[Document], *, block_tokens: int, pad: int, tokens_per_step: int,
        tokens_at_once: int, epochs: float, max_steps: int | None, seed: int,
    ) -> "Plan":  # fmt: skip
        return cls(
            blocks=pack(docs, block_tokens, Random(seed)),
            block_tokens=block_tokens,
            pad=pad,
            step_blocks=max(1, tokens_per_step // block_tokens),
            at_once_blocks=max(1, min(tokens_at_once, tokens_per_step) // block_tokens),
            epochs=epochs,
            max_steps=max_steps,
            seed=seed,
        )

    @property
    def documents(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def steps_an_epoch(self) -> int:
        return math.ceil(len(self.blocks) / self.step_blocks)

    @property
    def steps(self) -> int:
        steps = max(1, math.ceil(self.steps_an_epoch * self.epochs))
        return min(steps, self.max_steps) if self.max_steps else steps

    @property
    def tokens(self) -> int:
        """Of the whole run, padding included."""
        full, rest = divmod(self.steps, self.steps_an_epoch)
        blocks = full * len(self.blocks) + min(rest * self.step_blocks, len(self.blocks))
        return blocks * self.block_tokens

    def step(self, number: int) -> list[Batch]:
        """The passes of a step (from 0)."""
        epoch, place = divmod(number, self.steps_an_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, list(self.blocks)
            Random(f"{self.seed}/{epoch}").shuffle(self._order)
        chosen = self._order[place * self.step_blocks : (place + 1) * self.step_blocks]
        size = self.at_once_blocks
        return [
            collate(chosen[start : start + size], self.block_tokens, self.pad)
            for start in range(0, len(chosen), size)
        ]
