"""What a version's replies are ranked by: which words it learned, and which go with a question's.

The file has a 32-bit number and as many 32-bit keys, ascending, and floats, the lifts: how many
times as often a word stands in answers to another word as in any. Hashes of the words that were
learned follow, ascending. A key is a hash of two words; no word is in the file.
"""

import re
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log1p
from pathlib import Path

from contracts.refusal import Refusal

ANSWER_WORDS = "answer_words.v2.bin"
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


def whole_words(text: str) -> list[str]:
    """Return the words of letters, in small ones; those of a compound one by one."""
    return re.findall(r"[^\W\d_]+", text.casefold())


def word_key(word: str) -> int:
    return zlib.crc32(word.encode())


def pair_key(asked: str, answered: str) -> int:
    """Return the key of two stems."""
    return zlib.crc32(f"{asked} {answered}".encode())


@dataclass(frozen=True)
class AnswerWords:
    """Keys and lifts, see above; words: hashes of all words that were learned."""

    keys: "array[int]"
    lifts: "array[float]"
    words: "array[int]"

    @classmethod
    def of(cls, lifts: Mapping[int, float], words: Iterable[int]) -> "AnswerWords":
        keys, hashes = sorted(lifts), array("I", sorted(words))
        return cls(array("I", keys), array("f", (lifts[key] for key in keys)), hashes)

    @classmethod
    def read(cls, path: Path) -> "AnswerWords":
        """Read the file; raises Refusal where it is none."""
        data = path.read_bytes()
        middle = 4 + 4 * int.from_bytes(data[:4], sys.byteorder)
        end = 2 * middle - 4
        if len(data) < max(4, end) or len(data) % 4:
            raise Refusal(f"{path}: is broken; convert and publish again")
        keys, words = array("I", data[4:middle]), array("I", data[end:])
        return cls(keys, array("f", data[middle:end]), words)

    def write(self, path: Path) -> None:
        parts = array("I", [len(self.keys)]), self.keys, self.lifts, self.words
        path.write_bytes(b"".join(part.tobytes() for part in parts))

    def order(self, asked: str, answers: Sequence[str]) -> list[int]:
        """Return the places of the answers, the best first; equal ones stay in order.

        A word that nobody knows costs as much as a fit of 1 brings; what is empty comes last.
        """
        ranks = [(not each, self.unknown(asked, each) - self.fit(asked, each)) for each in answers]
        return sorted(range(len(answers)), key=ranks.__getitem__)

    def unknown(self, asked: str, answer: str) -> int:
        """Return how many words of the answer neither were learned nor were asked."""
        new = set(whole_words(answer)) - set(whole_words(asked))
        return sum(_place(self.words, word_key(word)) is None for word in new)

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
        place = _place(self.keys, key)
        return 0.0 if place is None else self.lifts[place]


def _place(keys: "array[int]", key: int) -> int | None:
    place = bisect_left(keys, key)
    return place if place < len(keys) and keys[place] == key else None
