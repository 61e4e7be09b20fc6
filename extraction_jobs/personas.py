"""Who is imitated: finds the persona's sender ids among an export's senders. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.refusal import Refusal
from extraction_jobs.messages import NOBODY, ForgetList, Message

AUTO = "auto"


def pseudonym(sender: str, kind: str = "p") -> str:
    """Return a stable name for a sender's id (or with kind `chat` a chat's), e.g. `p-3f9a1c07b2`.

    A data set names no sender and no chat (a private chat's id is a person's). This is not
    anonymity: who knows an id can compute its pseudonym, and the texts stay as they were written.
    """
    return f"{kind}-{hashlib.sha256(sender.encode()).hexdigest()[:10]}"


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

    def persona(self, wanted: str, forget_list: ForgetList = NOBODY) -> frozenset[str]:
        """Return the ids of the wanted persona; `auto` is the most talkative sender.

        Raises Refusal, naming who wrote most, where there is no such sender, and where one of them
        is on the forget list.
        """
        if wanted == AUTO and self.counts:
            found = {self.counts.most_common(1)[0][0]}
        elif wanted in self.counts:
            found = {wanted}
        else:
            found = self._senders_called(wanted.casefold())
        if not found:
            raise Refusal(f"persona {wanted!r} wrote nothing usable; {self._most_talkative()}")
        listed = forget_list.includes
        if any(listed(sender, name) for sender in found for name in self.names[sender]):
            who = "the most talkative sender" if wanted == AUTO else f"persona {wanted!r}"
            raise Refusal(
                f"{who} asked to be forgotten: there is nothing left to learn;"
                " choose another persona"
            )
        return frozenset(found)

    def _senders_called(self, folded: str) -> set[str]:
        named = ((sender, name) for sender, names in self.names.items() for name in names)
        return {sender for sender, name in named if name.casefold() == folded}

    def _most_talkative(self) -> str:
        most = [
            f"{'/'.join(sorted(self.names[sender])) or '?'} ({sender}, {count})"
            for sender, count in self.counts.most_common(8)
        ]
        return "most messages are by " + ", ".join(most) if most else "nobody did"
