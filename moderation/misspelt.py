"""Finds what an obscene word is that somebody misspelt: by one slip, or by ear.

A slip is a letter too many, too few, a wrong one, or two in each other's place. Ordinary words that
are so near to an obscene one are in innocent.txt.

obscene.tsv  obscene words in the forms that people use, by category, level and rule
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable

SHORTEST, LONGEST, SHORTEST_WITH_SLIP = 4, 20, 5
"""Letters of a word that is looked at, and of an obscene one that may be misspelt by a slip."""
_ALIKE = str.maketrans("оеэыйздбгхвщчжюя", "аиииистпккфшшшуа", "ьъ")
_ROW = 0xFF
"""Bits of a slip's hash that give way to the number of its row."""
_DOUBLE = re.compile(r"(.)\1+")
_WORD = re.compile(r"[а-я]*\*?[а-я]*")


class Misspelt:
    """The words of a table, each with the number of its row. A hash stands for each slip."""

    def __init__(self, rows: Iterable[Iterable[str]]) -> None:
        self._words = {word: row for row, words in enumerate(rows) for word in words}
        self._sounds = {_sound(word): row for word, row in self._words.items()}
        slips = {
            hash(slip) & ~_ROW | row
            for word, row in self._words.items()
            if len(word) >= SHORTEST_WITH_SLIP
            for slip in _slips(word)
        }
        self._slips = array("q", sorted(slips))

    def row(self, word: str) -> int | None:
        """Return the row of a word that may be one of the table's; a star stands for a letter."""
        if not SHORTEST <= len(word) <= LONGEST or not _WORD.fullmatch(word):
            return None
        if "*" in word:
            return self._slip(word)
        found = [self._sounds.get(_sound(word)), *map(self._slip, _slips(word))]
        found += map(self._words.get, _swapped(word))
        return next((row for row in found if row is not None), None)

    def _slip(self, word: str) -> int | None:
        key = hash(word) & ~_ROW
        place = bisect_left(self._slips, key)
        found = self._slips[place] if place < len(self._slips) else 0
        return found & _ROW if found & ~_ROW == key else None


def _sound(word: str) -> str:
    """Return about what is heard."""
    return _DOUBLE.sub(r"\1", word.replace("тс", "ц").replace("дс", "ц").translate(_ALIKE))


def _slips(word: str) -> list[str]:
    """Return it with a star for each letter, and with one more before, between and after them."""
    ends = [(start, start + taken) for taken in (1, 0) for start in range(len(word) + 1 - taken)]
    return [f"{word[:start]}*{word[end:]}" for start, end in ends]


def _swapped(word: str) -> list[str]:
    places = range(len(word) - 1)
    return [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in places]
