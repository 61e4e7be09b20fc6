"""Intervals by resampling: how far a figure would move with other contexts of the same chat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
COVERED = 0.95

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval that covers 95 % of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(columns: Sequence[Sequence[float]], figure: Callable[..., Numbers]) -> Estimate:
    """The figure of rows drawn with replacement.

    columns   equally long; one row a context
    figure    of arrays (rounds, rows), one a column, to an array (rounds)
    """
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    count = len(arrays[0])
    drawn = np.random.default_rng(1).integers(0, count, (ROUNDS, count))
    resampled = figure(*(array[drawn] for array in arrays))
    low, high = np.quantile(resampled, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    value = figure(*(array[None, :] for array in arrays))[0]
    return Estimate(float(value), float(low), float(high))


def mean(values: Sequence[float]) -> Estimate:
    return bootstrap([values], lambda drawn: drawn.mean(axis=-1))


def ratio(above: Sequence[float], below: Sequence[float], scale: float = 1.0) -> Estimate:
    """Sum over sum, times `scale`: nats over characters say."""
    return bootstrap([above, below], lambda a, b: scale * a.sum(-1) / np.maximum(b.sum(-1), 1e-9))
