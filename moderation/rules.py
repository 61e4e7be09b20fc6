"""The tables of words as regular expressions.

words.tsv     patterns of whole words, and of phrases, by category and level
obscene.tsv   obscene words that may be misspelt
innocent.txt  words that fit a pattern, or are near to an obscene one, and mean something else, in
              all their forms
parts.txt     short words that may be a part of an obscene one by chance

benchmarks/moderation_tables.py makes the last two with the dictionary of pymorphy3.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from moderation.misspelt import Misspelt
from moderation.policy import Category, Level

_PREFIXES = (
    "(?:(?:а|без|бес|вз|вс|вы|да|до|за|из|ис|на|наи|не|недо|ни|низ|о|об|обо|от|ото|пере|по|под"
    "|подо|пре|при|про|раз|разо|рас|со|у|[вс](?=[пхм]|[ъь]))[ъь]?){0,2}"
)
_DOUBLE = re.compile(r"(.)\1+")


class Rule(NamedTuple):
    """What a pattern finds, and the lowest level at which it counts."""

    category: Category
    level: Level
    name: str


class Rules:
    """The patterns as expressions in which the group that matches names the rule, by kind.

    whole    for words as they are
    glued    for words put together from parts, or Latin ones: no pattern begins in the middle of
             them, and what is misspelt is left out
    starred  the same, and a star stands for any letter
    phrases  to be searched for in a whole text
    innocent words that fit a pattern and are none of those
    parts    short ordinary words
    """

    def __init__(self) -> None:
        rows = [line.split("\t") for line in _lines("words.tsv")]
        self._rules = [Rule(Category(row[0]), Level(row[1]), row[2]) for row in rows]
        patterns = {place: row[3] for place, row in enumerate(rows)}
        words = {place: each for place, each in patterns.items() if " " not in each}
        glued = {
            place: _glued(each)
            for place, each in words.items()
            if not self._rules[place].name.startswith("misspelt")
        }
        starred = {place: _starred(each) for place, each in glued.items()}
        kinds = {"whole": words, "glued": glued, "starred": starred}
        self._words = {kind: _one(each) for kind, each in kinds.items()}
        phrases = {place: each for place, each in patterns.items() if " " in each}
        spaced = _one(phrases).pattern.replace(" ", r"\s+")
        self.phrases = re.compile(rf"(?<![^\W_])(?:{spaced})(?![^\W_])")
        table = [line.split("\t") for line in _lines("obscene.tsv")]
        self._meant = [Rule(Category(row[0]), Level(row[1]), f"misspelt {row[2]}") for row in table]
        self._misspelt = Misspelt(row[3].split() for row in table)
        self.parts, self.innocent = (
            frozenset(word for line in _lines(name) for word in line.split())
            for name in ("parts.txt", "innocent.txt")
        )

    @lru_cache(1 << 13)  # noqa: B019 (there is one object, for good)
    def find(self, word: str, kind: str) -> Rule | None:
        return None if word in self.innocent else self.search(word, kind)

    def search(self, word: str, kind: str = "whole") -> Rule | None:
        """Return what the word fits, innocent or not."""
        single, pattern = _DOUBLE.sub(r"\1", word), self._words[kind]
        match = pattern.fullmatch(word) or (single != word and pattern.fullmatch(single))
        return self.rule(match) if match else None

    @lru_cache(1 << 13)  # noqa: B019
    def find_misspelt(self, word: str) -> Rule | None:
        return None if word in self.innocent else self.near(word)

    def near(self, word: str) -> Rule | None:
        """Return what the word may be misspelt for, innocent or not."""
        row = self._misspelt.row(word)
        return None if row is None else self._meant[row]

    def rule(self, match: re.Match[str]) -> Rule:
        return self._rules[int((match.lastgroup or "")[1:])]


@cache
def rules() -> Rules:
    """Return the only object there is; the first call reads the tables."""
    return Rules()


def _lines(name: str) -> Iterator[str]:
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line


def _one(patterns: dict[int, str]) -> re.Pattern[str]:
    """Join patterns in their order, but what takes prefixes comes first."""
    prefixed = {place: each[1:] for place, each in patterns.items() if each.startswith("~")}
    others = {place: each for place, each in patterns.items() if place not in prefixed}
    named = (
        "|".join(f"(?P<r{place}>{each})" for place, each in some.items()) or "(?!)"
        for some in (prefixed, others)
    )
    return re.compile("{}(?:{})|{}".format(_PREFIXES, *named))


def _glued(pattern: str) -> str:
    """Let a pattern begin where a word does, and not go on for long."""
    begun = re.sub(r"(^|\|)\\w(?:[*+]|\{\d,\d?\})", r"\1", pattern)
    return ("~" if begun != pattern else "") + begun.replace(r"\w*", r"\w{0,5}")


def _starred(pattern: str) -> str:
    """Let a star stand for any letter of a pattern but for one of the first two of a root."""
    if r"\*" in pattern:
        return pattern
    hidden = re.sub(r"(\\w)|\[([a-zа-я]+)\]|([a-zа-я])", r"[\1\2\3*]", pattern)
    return re.sub(r"(^~?|\|)", r"\1(?!\\*\\*)", hidden)
