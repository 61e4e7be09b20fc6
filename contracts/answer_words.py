"""Which words of an answer go with which words of a question: a version's file to rank replies by.

The file has 32-bit keys, ascending, and then as many 32-bit floats, the lifts: how many times as
often a word stands in answers to another word as in any. A key is a hash of both words, which are
not in the file.
"""

import re
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, log1p
from pathlib import Path

from contracts.refusal import Refusal

ANSWER_WORDS = "answer_words.bin"
STEM = 5
"""Letters by which a word is known: Russian words differ in their endings."""
MOST_WORDS = 24
"""Words of a text that count: each of a question's is paired with each of an answer's."""


def asked_stems(text: str) -> list[str]:
    """Return the beginnings of a question's last words."""
    return _stems(text)[-MOST_WORDS:]


def answer_stems(text: str) -> list[str]:
    """Return the beginnings of an answer's first words."""
    return _stems(text)[:MOST_WORDS]


def _stems(text: str) -> list[str]:
    return [word[:STEM] for word in re.findall(r"\w+", text.casefold())]


def pair_key(asked: str, answered: str) -> int:
    """Return the key of two stems."""
    return zlib.crc32(f"{asked} {answered}".encode())


@dataclass(frozen=True)
class AnswerWords:
    """Keys and lifts, see above."""

    keys: "array[int]"
    lifts: "array[float]"

    @classmethod
    def of(cls, lifts: Mapping[int, float]) -> "AnswerWords":
        return cls(array("I", sorted(lifts)), array("f", (lifts[key] for key in sorted(lifts))))

    @classmethod
    def read(cls, path: Path) -> "AnswerWords":
        """Read the file; raises Refusal where it is none."""
        data = path.read_bytes()
        if len(data) % 8:
            raise Refusal(f"{path}: is broken; convert and publish again")
        half = len(data) // 2
        return cls(array("I", data[:half]), array("f", data[half:]))

    def write(self, path: Path) -> None:
        path.write_bytes(self.keys.tobytes() + self.lifts.tobytes())

    def fit(self, asked: str, answer: str) -> float:
        """Return the mean over the answer's words of log(1 + lifts after what was asked).

        0 where nothing speaks for the answer.
        """
        words, others = answer_stems(answer), asked_stems(asked)
        if not words:
            return 0.0
        lifts = (fsum(self._lift(pair_key(other, word)) for other in others) for word in words)
        return fsum(map(log1p, lifts)) / len(words)

    def _lift(self, key: int) -> float:
        place = bisect_left(self.keys, key)
        is_known = place < len(self.keys) and self.keys[place] == key
        return self.lifts[place] if is_known else 0.0
