"""Learned by heart: replies that repeat a stretch of the train part word for word."""

from collections.abc import Iterable, Sequence

from contracts.dataset import Record
from training_jobs.base import Base
from training_jobs.fidelity.bootstrap import mean
from training_jobs.fidelity.contexts import Context
from training_jobs.fidelity.replies import Reply

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


def copied(
    replies: Sequence[Reply], base: Base, asked: Sequence[Context], learned: Sequence[Record]
) -> dict[str, object]:
    """Against all that was said in the train part, by whomever."""
    turns = (turn for record in learned for turn in record.turns)
    known = Stretches(base.words.encode(turn.text) for turn in turns)
    real = [base.words.encode(each.said.text) for each in asked]
    texts = ["\n".join(reply.messages) for reply in replies]
    return {
        "memorised": {
            "tuned": mean([float(known.repeats(base.words.encode(text))) for text in texts]),
            "real": mean([float(known.repeats(ids)) for ids in real]),
        },
        "diversity": {
            "replies": len(set(texts)) / len(texts),
            "words": distinct(texts, 1),
            "pairs of words": distinct(texts, 2),
            "pairs of words, real": distinct([each.said.text for each in asked], 2),
        },
    }
