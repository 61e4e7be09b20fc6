"""A chat's messages as every source gives them, and which of them a data set can use.

Every message that is dropped is counted under its reason.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from contracts import forget
from contracts.files import file_sha256
from contracts.turn import single_line
from moderation.moderator import Action, Moderator
from moderation.private import replace_private

LONGEST_MESSAGE, LONGEST_HEARD = 2000, 4096
"""Characters of a message that can be learned, and as many as others read of a longer one."""
HEARD = frozenset((None, "forwarded", "via_bot", "too_long"))
"""Why a message is not learned that people may answer all the same; None where it is learned."""
ELSEWHERE = 0
"""Id of no message, of what is answered in another chat."""
LATEST = 253_370_764_800
"""Unix time before which a message is: the year 9999, which is the last one in some time zones."""


def readable(file_name: str) -> str:
    """Return a file's name with a question mark for each byte that is not UTF-8."""
    return file_name.encode(errors="replace").decode()


class Chat(NamedTuple):
    """A chat's header. `key` tells the chats of one export apart; `kind` is Telegram's name."""

    key: str
    name: str
    kind: str = ""


class Message(NamedTuple):
    """One entry of an export, usable or not.

    at              unix time in seconds
    kind            `message`, or what else the export calls it
    sender          the sender's id, or the name where a source has no ids; None if unknown
    reply_to        id of the message answered, within the chat; ELSEWHERE for one in another chat
    forwarded       it is somebody else's; an imported history is its sender's own
    forwarded_from  name of who wrote the original; None if unknown
    media           placeholder of what it carries beside words
    is_command      it begins with a command to a bot
    is_bot          the sender shows signs of a bot
    opens_topic     it is the first entry of a forum's topic
    """

    chat: Chat
    id: int
    at: float
    kind: str
    sender: str | None
    sender_name: str | None
    text: str
    reply_to: int | None = None
    forwarded: bool = False
    forwarded_from: str | None = None
    via_bot: bool = False
    media: str = ""
    is_command: bool = False
    is_bot: bool = False
    opens_topic: bool = False


@dataclass
class Found:
    """What a source tells beside its messages.

    owner   the id of the person whose export it is
    counts  repairs, and entries that could not be read, by reason
    """

    owner: str | None = None
    counts: Counter[str] = field(default_factory=Counter)


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

    names  under which they are known
    """

    def __init__(self, forget_list: ForgetList) -> None:
        self._list = forget_list
        self.names = set(forget_list.names)
        self._copied = set[str]()
        self._has_written = False

    def note(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Yield the messages, as they come."""
        for message in messages:
            if self._list.includes(message.sender, message.sender_name):
                self._has_written = True
                self.names.add(message.sender_name or "")
            elif message.forwarded_from:
                self._copied.add(message.forwarded_from)
            yield message

    def __bool__(self) -> bool:
        return self._has_written or not self._copied.isdisjoint(self.names)

    def include(self, message: Message) -> bool:
        is_theirs = self._list.includes(message.sender, message.sender_name)
        return is_theirs or message.forwarded_from in self.names


class Usable(NamedTuple):
    """What a data set can use of a message.

    text    as one line, or a placeholder where there are no words; empty where nobody may read it
    reason  why it is not learned; None where it is
    is_own  whether the text is its sender's own
    """

    message: Message
    text: str
    reason: str | None
    is_own: bool


class Filters:
    """Say what of each message a data set can use.

    `replaced` counts private items by kind, and as `masked` the messages with starred words.
    """

    def __init__(
        self,
        keeps_forwards: bool = False,
        replaces_private: bool = True,
        forget_list: ForgetList = NOBODY,
        moderator: Moderator | None = None,
    ) -> None:
        self._keeps_forwards = keeps_forwards
        self._replaces_private = replaces_private
        self._forget_list = forget_list
        self._moderator = moderator
        self.replaced = Counter[str]()

    def usable(self, messages: Iterable[Message]) -> Iterator[Usable]:
        for message in messages:
            words = single_line(message.text)
            if (reason := self._reason(message, words)) not in HEARD:
                is_theirs = reason == "forgotten" and bool(words) and not message.forwarded
                yield Usable(message, "", reason, is_theirs)  # the persona is not somebody else
                continue
            is_own = reason is None and words != "" and not self._is_post(message)
            if reason == "too_long":
                words = words[:LONGEST_HEARD]
            text = words or single_line(message.media)
            if self._replaces_private:
                text = replace_private(text, self.replaced)
            if self._moderator:
                verdict = self._moderator.check(text)
                if verdict.action is Action.BLOCKED:
                    yield Usable(message, "", "moderated", False)
                    continue
                if verdict.action is Action.MASKED:
                    self.replaced["masked"] += 1
                text = verdict.text
            yield Usable(message, text, reason, is_own)

    def _reason(self, message: Message, words: str) -> str | None:
        """Why a message cannot be used; None where it can."""
        if message.kind != "message":
            return "service" if message.kind == "service" else "unsupported"
        if message.sender is None:
            return "no_sender"
        if not message.media and not words:
            return "no_text"
        listed = self._forget_list
        if listed is not NOBODY and (
            message.forwarded_from in listed.names
            or listed.includes(message.sender, message.sender_name)
        ):
            return "forgotten"
        if message.is_command:
            return "bot_command"
        if message.forwarded and not (self._keeps_forwards or self._is_post(message)):
            return "forwarded"
        if message.via_bot:
            return "via_bot"
        return "too_long" if len(message.text) > LONGEST_MESSAGE else None

    def _is_post(self, message: Message) -> bool:
        """Whether it is a channel's post in its group of comments: people answer to it."""
        if not message.forwarded or message.sender is None:
            return False
        return message.sender.startswith("channel") and "group" in message.chat.kind
