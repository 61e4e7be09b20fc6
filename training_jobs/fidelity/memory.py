"""Learned by heart: replies that repeat a stretch of the train part word for word."""

from collections.abc import Iterable, Sequence

STRETCH = 8
"""Tokens in a row that count as a repetition."""


class Stretches:
    """All stretches of the train part's persona turns, by hash."""

    def __init__(self, texts: Iterable[Sequence[int]]) -> None:
        self._known = {stretch for ids in texts for stretch in _stretches(ids)}

    def repeats(self, ids: Sequence[int]) -> bool:
        return any(stretch in self._known for stretch in _stretches(ids))


def _stretches(ids: Sequence[int]) -> Iterable[int]:
    return (hash(tuple(ids[i : i + STRETCH])) for i in range(len(ids) - STRETCH + 1))


def distinct(texts: Iterable[str], words: int) -> float:
    """Different runs of so many words by all runs: 1 is never the same twice."""
    runs = [tuple(part[i : i + words]) for part in map(str.split, texts)
            for i in range(len(part) - words + 1)]  # fmt: skip
    return len(set(runs)) / len(runs) if runs else 0.0
