"""Scores how likely a sentence insults or threatens somebody: a linear model.

Its features are pieces of one to four characters, and what was found by words. insults.bin has its
weights; benchmarks/moderation_weights.py trains it and tells where the texts come from.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from math import sqrt
from pathlib import Path
from zlib import crc32

from moderation.policy import Category, Level
from moderation.words import Hit

SENTENCE = re.compile(r"\S(?:[^\n.!?]|[.!?](?!\s))*")
"""Without what ends it; a message is one at least."""
BUCKETS, LONGEST_PIECE, LONGEST_WORD = 1 << 19, 4, 64
HEADER = struct.Struct("<7f")
_COUNTED = [
    (category, level)
    for category in (Category.PROFANITY, Category.INSULT)
    for level in (Level.SOFT, Level.STRICT)
]


class Model:
    """`weights` has one byte for each bucket of pieces, `words` one for each feature of words."""

    def __init__(
        self, scale: float, bias: float, words: Sequence[float], weights: memoryview
    ) -> None:
        self.scale, self.bias, self.words, self.weights = scale, bias, words, weights
        self._weight = lru_cache(1 << 12)(self._weight_of_word)

    def score(self, sentence: str, hits: Sequence[Hit]) -> float:
        """Return the logarithm of the odds of a normalised sentence with what was found in it."""
        weighed = [self._weight(word) for word in sentence.split()]
        total, count = sum(each[0] for each in weighed), sum(each[1] for each in weighed)
        found = zip(word_features(hits), self.words, strict=True)
        of_words = sum(feature * weight for feature, weight in found)
        return self.bias + of_words + self.scale * total / sqrt(count or 1)

    def _weight_of_word(self, word: str) -> tuple[int, int]:
        found = pieces(word)
        return sum(map(self.weights.__getitem__, found)), len(found)


@cache
def model() -> Model:
    """Return the model of insults.bin; the first call reads it."""
    content = (Path(__file__).parent / "insults.bin").read_bytes()
    scale, bias, *words = HEADER.unpack_from(content)
    return Model(scale, bias, words, memoryview(content)[HEADER.size :].cast("b"))


def pieces(word: str) -> list[int]:
    """Return the buckets of a word's pieces, its beginning and end marked."""
    data = f" {word[:LONGEST_WORD]} ".encode("cp1251", "replace")
    return [
        crc32(data[start : start + size]) % BUCKETS
        for size in range(1, LONGEST_PIECE + 1)
        for start in range(len(data) - size + 1)
    ]


def word_features(hits: Iterable[Hit]) -> list[float]:
    """Return which kinds of words were found, and how many there are."""
    kinds = [(hit.category, hit.level) for hit in hits]
    return [*(float(kind in kinds) for kind in _COUNTED), min(3, len(kinds)) / 2]
