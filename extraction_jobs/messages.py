"""A chat's messages as every source gives them, and which of them a data set can use.

Each filter is a reason and a test; every message that is dropped is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from contracts import forget
from contracts.bot_command import read_command
from contracts.files import file_sha256
from contracts.turn import single_line

LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat's header. `key` tells the chats of one export apart."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of an export, usable or not.

    kind            `message`, or what else the export calls it
    sender          the sender's id, or the name where a source has no ids; None if unknown
    reply_to        id of the message answered, within the chat
    forwarded_from  name of who wrote the original; None if unknown
    """

    chat: Chat
    id: int
    at: datetime
    kind: str
    sender: str | None
    sender_name: str | None
    text: str
    reply_to: int | None = None
    forwarded: bool = False
    forwarded_from: str | None = None
    via_bot: bool = False


@dataclass(frozen=True)
class ForgetList:
    """People who asked not to be learned from, when the last of them did, and the list's hash.

    Their ids are as `Message.sender` has them (`user123`). A name stands for nobody who has an id:
    somebody who calls himself `user123` has nobody else forgotten.
    """

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    until: float = 0.0
    sha256: str | None = None

    @classmethod
    def read(cls, file: Path) -> "ForgetList":
        """Read a forget.jsonl; the list is empty where there is none. Raises Refusal.

        The file is hashed first: an entry added in between is obeyed, and changes the next hash.
        """
        sha256 = file_sha256(file) if file.is_file() else None
        entries = forget.read(file)
        ids = frozenset(f"user{entry.user_id}" for entry in entries)
        names = frozenset(name for entry in entries for name in entry.names)
        return cls(ids, names, max((entry.at for entry in entries), default=0.0), sha256)

    def includes(self, sender: str | None, name: str | None) -> bool:
        """Return whether a message's sender is listed; without ids the sender is the name."""
        return sender in self.ids or (sender == name and name in self.names)


NOBODY = ForgetList()


class Traces:
    """What an export holds of people on a forget list: their messages, and copies of these.

    A forwarded copy names its author as the export does, so `note` has to see all messages first.
    """

    def __init__(self, forget_list: ForgetList) -> None:
        self._list = forget_list
        self._names = set(forget_list.names)
        self._copied = set[str]()
        self._has_written = False

    def note(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Yield the messages, as they come."""
        for message in messages:
            if self._list.includes(message.sender, message.sender_name):
                self._has_written = True
                self._names.add(message.sender_name or "")
            elif message.forwarded_from:
                self._copied.add(message.forwarded_from)
            yield message

    def __bool__(self) -> bool:
        return self._has_written or not self._copied.isdisjoint(self._names)

    def include(self, message: Message) -> bool:
        is_theirs = self._list.includes(message.sender, message.sender_name)
        return is_theirs or message.forwarded_from in self._names


FILTERS: tuple[tuple[str, Callable[[Message], bool]], ...] = (
    ("service", lambda message: message.kind == "service"),
    ("unsupported", lambda message: message.kind not in ("message", "service")),
    ("no_sender", lambda message: message.sender is None),
    ("forwarded", lambda message: message.forwarded),
    ("via_bot", lambda message: message.via_bot),
    ("no_text", lambda message: not single_line(message.text)),
    ("bot_command", lambda message: read_command(message.text) is not None),
    ("too_long", lambda message: len(message.text) > LONGEST_MESSAGE),
)


def usable(
    messages: Iterable[Message], dropped: Counter[str], forget_list: ForgetList = NOBODY
) -> Iterator[Message]:
    """Yield what passes every filter; count the others under the first reason that holds.

    What would be usable, but is by somebody on the forget list, is counted as `forgotten`.
    """
    for message in messages:
        reason = next((name for name, holds in FILTERS if holds(message)), None)
        if reason is None and forget_list.includes(message.sender, message.sender_name):
            reason = "forgotten"
        if reason is None:
            yield message
        else:
            dropped[reason] += 1
