"""What handling an update comes to: messages to send and writes, committed together."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import tzinfo
from sqlite3 import Connection
from typing import Any

from services.gateway.incoming import Message
from services.gateway.reasons import ChatSettings

Write = Callable[[Connection], None]
"""A write of the store's."""


@dataclass(frozen=True)
class Outgoing:
    """A message to send.

    reply_to  the message that it quotes where others wrote since; 0 quotes nothing
    spoken    the persona's own words
    after     seconds from now before which it is not sent
    asker     whom it answers, 0 nobody
    to_bot    it answers a bot
    extra     further parameters of sendMessage
    """

    chat: int
    text: str = ""
    topic: int = 0
    reply_to: int = 0
    spoken: bool = False
    after: float = 0.0
    asker: int = 0
    to_bot: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """Where the bot is not to say what it is about to: in a topic of a chat, in chat 0 everywhere.

    is_calm       only what nobody asked for
    by_settings   if the topic is the general one, also in topics that follow its settings
    """

    chat: int = 0
    topic: int = 0
    is_calm: bool = False
    by_settings: bool = False

    def ends(self, apart: Collection[int], chat: int, topic: int, is_unasked: bool) -> bool:
        """Whether it ends talk; `apart` are the topics of its chat with settings of their own."""
        follows = self.by_settings and not self.topic and topic not in apart
        is_here = not self.chat or (self.chat == chat and (self.topic == topic or follows))
        return is_here and (is_unasked or not self.is_calm)


@dataclass(frozen=True)
class Answer:
    """`calls` are methods of the Bot API and their parameters, tried for some seconds after it."""

    messages: tuple[Outgoing, ...] = ()
    writes: tuple[Write, ...] = ()
    silence: Silence | None = None
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


def silence_by(
    settings: ChatSettings, chat: int, topic: int, now: float, zone: tzinfo
) -> Silence | None:
    """What new settings end of what the bot is about to say."""
    is_muted = now < settings.muted_until
    ends = is_muted or not settings.talks_unasked(now, zone)
    return Silence(chat, topic, not is_muted, by_settings=True) if ends else None


def answer_to(
    message: Message, text: str, part: int = 0, extra: dict[str, Any] | None = None, **more: Any
) -> Outgoing:
    """Answer a message where it was written; outside private chats the first part quotes it.

    Below a post each part does, or it would stand outside of the comments.
    """
    quoted = 0 if message.is_private or part else message.message_id
    extra = message.place | (extra or {})
    return Outgoing(message.chat, text, message.topic, quoted, extra=extra, **more)
