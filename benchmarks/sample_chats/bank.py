"""A phrase bank: themes of asks and answers with slots, and the exchanges drawn from it.

A phrase holds slots such as `{thing}`, `{thing.2}` (second form of a value written "борщ/борща") or
`{Thing}` (capitalised). Within one exchange a slot keeps its value: answers take up the ask.
` // ` splits a burst into messages.
"""

import re
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict, Field

_SLOT = re.compile(r"\{(\w+?)(?:\.(\d))?\}")
_RESERVED = 8
"""One phrase of so many of a group is for the end of a chat alone, where what was learned is
measured. A few short ones stand in other groups too."""

Sides = list[list[str]]
"""Bursts of messages of two sides in turn, the asker first."""


class Group(BaseModel):
    """Asks, and answers each of which fits each of the asks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asks: tuple[str, ...] = Field(min_length=_RESERVED - 2)
    answers: tuple[str, ...] = Field(min_length=_RESERVED)


class Theme(Group):
    """`follow` has what is said to an answer of the theme, and what is answered to that."""

    name: str
    weight: float = Field(default=1.0, gt=0.0)
    follow: tuple[Group, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: dict[str, tuple[str, ...]]
    themes: tuple[Theme, ...]


class Bank:
    """Draws themes by weight; a phrase comes again only after all others of its group."""

    def __init__(self, path: Path, random: Random) -> None:
        self._bank = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        self._random = random
        self._decks: dict[tuple[str, ...], list[str]] = {}

    def exchange(self, reserved: bool, longer_share: float = 0.35) -> Sides:
        """Draw an ask and its answer, and in that share of cases what follows."""
        weights = [theme.weight for theme in self._bank.themes]
        theme = self._random.choices(self._bank.themes, weights)[0]
        groups: list[Group] = [theme]
        if theme.follow and self._random.random() < longer_share:
            groups.append(self._random.choice(theme.follow))
        chosen: dict[str, str] = {}
        phrases = [part for group in groups for part in (group.asks, group.answers)]
        return [self._fill(self._draw(part, reserved), chosen).split(" // ") for part in phrases]

    def _draw(self, phrases: tuple[str, ...], reserved: bool) -> str:
        own = [p for i, p in enumerate(phrases) if (i % _RESERVED == _RESERVED // 2) is reserved]
        deck = self._decks.setdefault(tuple(own), [])
        if not deck:
            deck.extend(own)
            self._random.shuffle(deck)
        return deck.pop()

    def _fill(self, phrase: str, chosen: dict[str, str]) -> str:
        return _SLOT.sub(lambda match: self._value(match, chosen), phrase)

    def _value(self, match: re.Match[str], chosen: dict[str, str]) -> str:
        slots, written = self._bank.slots, match[1]
        name = written if written in slots else written[0].lower() + written[1:]
        if name not in chosen:
            chosen[name] = self._random.choice(slots[name])
        value = self._fill(chosen[name].split("/")[int(match[2] or 1) - 1], chosen)
        return value if name == written else value[0].upper() + value[1:]
