"""Intervals by resampling: how far a figure would move with other contexts of the same chat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 1000
COVERED = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval that covers 95 % of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(above: Sequence[float], below: Sequence[float], scale: float = 1.0) -> Estimate:
    """Estimate sum over sum, times `scale`: nats over characters, for example.

    Both have one value a context; the interval is that of contexts drawn with replacement.
    """
    count = len(above)
    drawn = np.random.default_rng(1).integers(0, count, (ROUNDS, count))
    # The same draw for both: the values of one context stay together. The first row is all of them.
    rows = np.vstack([np.arange(count), drawn])
    sums = (np.asarray(each, dtype=np.float64)[rows].sum(-1) for each in (above, below))
    value, *resampled = scale * next(sums) / np.maximum(next(sums), 1e-9)
    low, high = np.quantile(resampled, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return Estimate(float(value), float(low), float(high))


def mean(values: Sequence[float]) -> Estimate:
    return ratio(values, [1.0] * len(values))
