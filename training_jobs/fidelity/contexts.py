"""What the persona is asked in the held-out part, and what it really said there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.dataset import Record
from contracts.prompt import PromptFormat, Vocabulary, render, render_prompt
from contracts.turn import Turn
from training_jobs.packing import Document


@dataclass(frozen=True)
class Context:
    """turns: what was said before, at least one; said: the persona's real turn."""

    turns: tuple[Turn, ...]
    said: Turn

    @property
    def characters(self) -> int:
        """Of the real turn, its end counted as one."""
        return len(self.said.text) + 1

    def prompt(self, words: Vocabulary, budget: int) -> list[int]:
        return render_prompt(self.turns, PromptFormat.TURNS_1, words, budget).ids

    def document(self, words: Vocabulary, budget: int) -> Document:
        """Prompt and real turn, with loss on the real turn alone."""
        said = render([self.said], PromptFormat.TURNS_1, words, budget)
        before = render(self.turns, PromptFormat.TURNS_1, words, budget - len(said.ids)).ids
        return Document([*before, *said.ids], [False] * len(before) + said.loss_mask)


def contexts(records: Iterable[Record], last_only: bool, most: int, longest: int) -> list[Context]:
    """At most so many, evenly over the held-out part; last_only as in whole chats.

    Turns of more than `longest` characters are left out: as many tokens always hold the others, so
    that no model is measured on less of them than another.
    """
    found = [
        Context(record.turns[:place], turn)
        for record in records
        for place, turn in enumerate(record.turns)
        if place
        and turn.is_persona
        and len(turn.text) <= longest
        and (not last_only or place == len(record.turns) - 1)
    ]
    step = max(1.0, len(found) / most)
    return [found[int(number * step)] for number in range(min(most, len(found)))]


def shuffled(asked: Sequence[Context]) -> list[Context]:
    """Every real turn behind the turns of a context from elsewhere in the chat."""
    half = len(asked) // 2
    return [
        Context(asked[(place + half) % len(asked)].turns, each.said)
        for place, each in enumerate(asked)
    ]
