"""A chat's message as every source gives it; knows no source's format."""

from dataclasses import dataclass
from datetime import datetime

from contracts.refusal import Refusal


class ExportError(Refusal):
    """A file that is no export of a kind we read."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat's header. `key` tells chats of one export apart."""

    key: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of an export, usable or not.

    kind       `message`, or what else the export calls it
    sender     the sender's id, or the name where a source has no ids; None if unknown
    reply_to   id of the message answered, within the chat
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
    via_bot: bool = False
