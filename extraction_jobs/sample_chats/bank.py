"""A phrase bank: themes of asks and answers with slots, and the exchanges drawn from it.

A phrase holds slots such as `{thing}`, `{thing.2}` (second form of a value written "борщ/борща") or
`{Thing}` (capitalised). Within one exchange a slot keeps its value: answers take up the ask.
` // ` splits a burst into messages.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict, Field

from contracts.refusal import parse

_SLOT = re.compile(r"\{(\w+?)(?:\.(\d))?\}")


class Theme(BaseModel):
    """Asks, answers to any of them, reactions to an answer, and second answers to a reaction."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: float = Field(default=1.0, gt=0.0)
    asks: tuple[str, ...] = Field(min_length=1)
    answers: tuple[str, ...] = Field(min_length=1)
    reactions: tuple[str, ...] = ()
    seconds: tuple[str, ...] = ()


class _BankFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: dict[str, tuple[str, ...]]
    themes: tuple[Theme, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Exchange:
    """Bursts of messages of two sides in turn, the asker first."""

    theme: str
    sides: tuple[tuple[str, ...], ...]
    more: tuple[str, ...] = ()
    """Another answer to the same ask."""


class _Filler:
    """Fills the slots of one exchange; each keeps its value."""

    def __init__(self, slots: dict[str, tuple[str, ...]], random: Random) -> None:
        self._slots = slots
        self._random = random
        self._chosen: dict[str, str] = {}

    def __call__(self, phrase: str) -> str:
        return _SLOT.sub(self._value, phrase)

    def _value(self, match: re.Match[str]) -> str:
        written, form = match[1], int(match[2] or 1)
        name = written if written in self._slots else written[0].lower() + written[1:]
        if name not in self._chosen:
            self._chosen[name] = self._random.choice(self._slots[name])
        value = self(self._chosen[name].split("/")[form - 1])
        return value if name == written else value[0].upper() + value[1:]


class Bank:
    """Draws themes by weight; a phrase comes again only after all others of its theme."""

    def __init__(self, path: Path, random: Random) -> None:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._bank = parse(_BankFile, content, str(path))
        self._random = random
        self._decks: dict[tuple[str, str], list[str]] = {}

    def _draw(self, theme: Theme, part: str, phrases: Sequence[str]) -> str:
        deck = self._decks.setdefault((theme.name, part), [])
        if not deck:
            deck.extend(phrases)
            self._random.shuffle(deck)
        return deck.pop()

    def exchange(self, reaction_share: float) -> Exchange:
        """Draw an ask and its answer and, in that share of cases, a reaction and its answer."""
        weights = [theme.weight for theme in self._bank.themes]
        theme = self._random.choices(self._bank.themes, weights)[0]
        fill = _Filler(self._bank.slots, self._random)

        def burst(part: str, phrases: Sequence[str]) -> tuple[str, ...]:
            return tuple(fill(self._draw(theme, part, phrases)).split(" // "))

        sides = [burst("asks", theme.asks), burst("answers", theme.answers)]
        more = burst("answers", theme.answers)
        if theme.reactions and theme.seconds and self._random.random() < reaction_share:
            sides += [burst("reactions", theme.reactions), burst("seconds", theme.seconds)]
        return Exchange(theme.name, tuple(sides), more)
