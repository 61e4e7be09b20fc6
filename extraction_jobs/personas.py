"""Who is imitated: finds the persona's sender ids among an export's senders. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from contracts.refusal import Refusal, one_line
from extraction_jobs.messages import NOBODY, ForgetList, Usable

AUTO = "auto"
SHOWN = 8


@lru_cache(10_000)
def pseudonym(sender: str, kind: str = "p") -> str:
    """Return a stable name for a sender's id (or with kind `chat` a chat's), e.g. `p-3f9a1c07b2`.

    A data set names no sender and no chat (a private chat's id is a person's). This is not
    anonymity: who knows an id can compute its pseudonym, and the texts stay as they were written.
    """
    return f"{kind}-{hashlib.sha256(sender.encode()).hexdigest()[:10]}"


@dataclass
class Senders:
    """Messages of their own words by sender id, the names each id wrote under, and where.

    counts  of messages, each once, which the scratch database tells
    bots    who shows buttons, or is written to in a chat with a bot
    """

    counts: Counter[str] = field(default_factory=Counter)
    names: dict[str, set[str]] = field(default_factory=dict)
    chats: dict[str, set[str]] = field(default_factory=dict)
    bots: set[str] = field(default_factory=set)

    def note(self, messages: Iterable[Usable]) -> Iterator[Usable]:
        """Yield what was filtered, as it comes."""
        seen = set[tuple[Any, ...]]()
        for each in messages:
            message, _, _, is_own = each
            sender, name, chat = message.sender, message.sender_name, message.chat
            key = sender, name, chat, message.is_bot
            if is_own and sender is not None and key not in seen:
                seen.add(key)
                self.names.setdefault(sender, set()).add(name or "")
                self.chats.setdefault(sender, set()).add(chat.name)
                is_partner = chat.kind == "bot_chat" and sender == f"user{chat.key}"
                if message.is_bot or is_partner:
                    self.bots.add(sender)
            yield each

    def persona(
        self, wanted: Sequence[str], owner: str | None, forget_list: ForgetList = NOBODY
    ) -> frozenset[str]:
        """Return the ids of the wanted persona: an id or a name, or several ids of one person.

        `auto` is the export's owner, else the most talkative person. Raises Refusal, naming who
        wrote most, where there is no such sender, where a name is of several, and where one of them
        is on the forget list.
        """
        found = frozenset(self._find(each, owner) for each in wanted)
        listed = forget_list.includes
        if any(listed(sender, name) for sender in found for name in self.names[sender]):
            raise Refusal(
                f"persona {', '.join(wanted)!r} asked to be forgotten: there is nothing left to"
                " learn; choose another persona"
            )
        return found

    def _find(self, wanted: str, owner: str | None) -> str:
        if wanted == AUTO and self.counts:
            return owner if owner and owner in self.counts else max(self.counts, key=self._rank)
        for sender in (wanted, f"user{wanted}"):
            if sender in self.counts:
                return sender
        called = [sender for sender in self.counts if wanted.casefold() in self._folded(sender)]
        if len(called) == 1:
            return called[0]
        if called:
            raise Refusal(
                f"persona {wanted!r} is {' and '.join(called)}: give the id of one, or all"
            )
        names = {n.casefold(): n for sender in self.counts for n in self.names[sender]}
        near = sorted(name for name in names if wanted.casefold() in name)[:3]
        near = near or get_close_matches(wanted.casefold(), names, n=3)
        hint = f"did you mean {', '.join(names[each] for each in near)}? " if near else ""
        raise Refusal(f"persona {wanted!r} wrote nothing usable; {hint}{self._most_talkative()}")

    def _rank(self, sender: str) -> tuple[bool, int, bool]:
        is_called_bot = any(name.endswith(("bot", "бот")) for name in self._folded(sender))
        return sender not in self.bots, self.counts[sender], not is_called_bot

    def _folded(self, sender: str) -> set[str]:
        return {name.casefold() for name in self.names[sender]}

    def called(self, *senders: str) -> str:
        """Return the names under which they wrote."""
        names = sorted(set[str]().union(*(self.names[sender] for sender in senders)) - {""})
        return one_line("/".join(names)) or "?"

    def table(self) -> Iterator[dict[str, Any]]:
        """Yield a row a sender, who wrote most first."""
        for sender, count in self.counts.most_common():
            chats, is_bot = sorted(self.chats[sender]), sender in self.bots
            name = self.called(sender)
            yield {"messages": count, "id": sender, "name": name, "bot": is_bot, "chats": chats}

    def _most_talkative(self) -> str:
        most = [
            f"{self.called(sender)} ({sender}, {count})"
            for sender, count in self.counts.most_common(SHOWN)
        ]
        return "most messages are by " + ", ".join(most) if most else "nobody did"
