"""A model, and how well it foretells what the persona really said."""

import math
from collections.abc import Sequence

from training_jobs.base import Base
from training_jobs.fidelity.bootstrap import Estimate, ratio
from training_jobs.fidelity.contexts import Context
from training_jobs.fidelity.likelihood import nats, tokens
from training_jobs.fidelity.results import Likelihood
from training_jobs.hardware import Hardware

BUDGET = 384
"""Tokens of a context and what was said: about what people look back on."""
BITS = 1 / math.log(2)
"""In a nat."""


class Subject:
    """A model with the held-out contexts as it sees them."""

    def __init__(self, base: Base, asked: Sequence[Context], machine: Hardware) -> None:
        self.base = base
        budget = min(BUDGET, base.context)
        self._docs = [each.document(base.words, budget) for each in asked]
        self.nats = nats(base.model, self._docs, machine)
        self.likelihood = Likelihood(
            bits_per_character=ratio(self.nats, [each.characters for each in asked], BITS),
            perplexity=_perplexity(self.nats, tokens(self._docs)),
        )


def _perplexity(losses: Sequence[float], counts: Sequence[int]) -> Estimate:
    loss = ratio(losses, counts)
    return Estimate(math.exp(loss.value), math.exp(loss.low), math.exp(loss.high))


def gain(worse: Sequence[float], better: Sequence[float], asked: Sequence[Context]) -> Estimate:
    """Bits per character by which the second is better, pair by pair."""
    less = [left - right for left, right in zip(worse, better, strict=True)]
    return ratio(less, [each.characters for each in asked], BITS)
