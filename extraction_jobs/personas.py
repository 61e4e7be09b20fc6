"""Who is imitated: finds the persona's sender ids among an export's senders. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.refusal import Refusal
from extraction_jobs.forgotten import People
from extraction_jobs.message import Message

AUTO = "auto"


class PersonaNotFound(Refusal):
    """Nobody of that name or id wrote anything usable."""


class PersonaForgotten(Refusal):
    """The persona asked not to be learned from."""


@dataclass
class Senders:
    """Usable messages by sender id, and the names each id wrote under."""

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, set[str]] = field(default_factory=dict)

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.sender is not None:
                self.counts[message.sender] += 1
                self.names.setdefault(message.sender, set()).add(message.sender_name or "")

    def persona(self, wanted: str) -> frozenset[str]:
        """Ids of the wanted persona; `auto` is the most talkative sender.

        Raises PersonaNotFound, naming who wrote most.
        """
        if wanted == AUTO and self.counts:
            return frozenset([self.counts.most_common(1)[0][0]])
        if wanted in self.counts:
            return frozenset([wanted])
        folded = wanted.casefold()
        found = [
            sender
            for sender, names in self.names.items()
            if folded in {name.casefold() for name in names}
        ]
        if not found:
            raise PersonaNotFound(f"persona {wanted!r} wrote nothing usable; {self._who_did()}")
        return frozenset(found)

    def refuse_forgotten(self, personas: frozenset[str], wanted: str, people: People) -> None:
        """Raises PersonaForgotten when one of the personas is among the people."""
        if any(people.include(sender, name) for sender in personas for name in self.names[sender]):
            who = "the most talkative sender" if wanted == AUTO else f"persona {wanted!r}"
            raise PersonaForgotten(
                f"{who} asked to be forgotten: there is nothing left to learn;"
                " choose another persona"
            )

    def _who_did(self) -> str:
        most = [
            f"{'/'.join(sorted(self.names[sender])) or '?'} ({sender}, {count})"
            for sender, count in self.counts.most_common(8)
        ]
        return "most messages are by " + ", ".join(most) if most else "nobody did"
