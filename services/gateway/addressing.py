"""Is this message for the bot? Pure functions of the message and the bot.

Knows Telegram's types, and neither the chat's settings nor the store nor the network.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from aiogram.enums import ContentType
from aiogram.types import Message, MessageEntity, MessageOriginUser

from services.gateway.decision import Reason

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?(?!\S)\s*(.*)", re.DOTALL)
_WORDLESS = frozenset(
    {
        ContentType.STICKER,
        ContentType.VOICE,
        ContentType.VIDEO_NOTE,
        ContentType.PHOTO,
        ContentType.VIDEO,
        ContentType.ANIMATION,
        ContentType.AUDIO,
        ContentType.DOCUMENT,
    }
)


@dataclass(frozen=True)
class Identity:
    """Who the bot is: its id and username at Telegram, and its names in all their forms."""

    id: int
    username: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A message that begins with a slash; `target` is the bot it names, if any."""

    name: str
    target: str | None
    arguments: str

    def for_another(self, me: Identity) -> bool:
        return self.target is not None and self.target.lower() != me.username.lower()


def text_of(message: Message) -> str:
    return message.text or message.caption or ""


def spoken_text(message: Message, me: Identity) -> str:
    """What was said, without the bot's own @username: chats do not talk like that among friends."""
    said = re.sub(rf"@{re.escape(me.username)}(?!\w)[,:;]?", "", text_of(message), flags=re.I)
    return " ".join(said.split()) or text_of(message)


def sender_of(message: Message) -> int:
    """Who speaks: a chat or channel, where somebody writes as one; 0 is nobody."""
    if message.sender_chat is not None:
        return message.sender_chat.id
    return message.from_user.id if message.from_user is not None else 0


def from_bot(message: Message) -> bool:
    """A bot wrote it; people who write as a chat or a channel come under a bot's id and do not."""
    sender = message.from_user
    return sender is not None and sender.is_bot and message.sender_chat is None


def topic_of(message: Message) -> int:
    """The forum topic, else 0: outside forums a thread's id only marks a chain of replies."""
    return (message.message_thread_id or 0) if message.is_topic_message else 0


def is_wordless(message: Message) -> bool:
    """A sticker, a voice, a picture without words; messages of the service itself are not."""
    return message.content_type in _WORDLESS and not text_of(message).strip()


def borrowed(message: Message) -> bool:
    """Its words are not its sender's own: forwarded, or made by another bot inline."""
    return message.forward_origin is not None or message.via_bot is not None


def command_in(message: Message) -> Command | None:
    found = _COMMAND.match(message.text or "")
    return Command(found[1].lower(), found[2], found[3].strip()) if found else None


def addressed(message: Message, me: Identity) -> Reason | None:
    """Why the message is for the bot; None when it is not. In borrowed words no name counts."""
    if message.chat.type == "private":
        return Reason.PRIVATE
    own = not borrowed(message)
    if own and (reason := _mentioned(message, me)) is not None:
        return reason
    if replies_to(message, me):
        return Reason.REPLY
    return Reason.NAME if own and called_by(me.names, text_of(message)) else None


def _mentioned(message: Message, me: Identity) -> Reason | None:
    text = text_of(message)
    for entity in message.entities or message.caption_entities or ():
        if entity.type == "text_mention" and entity.user is not None and entity.user.id == me.id:
            return Reason.TEXT_MENTION
        if entity.type == "mention" and _cut(text, entity).lower() == f"@{me.username}".lower():
            return Reason.MENTION
    return None


def _cut(text: str, entity: MessageEntity) -> str:
    """The entity's text: Telegram counts in UTF-16 units, two bytes each."""
    encoded = text.encode("utf-16-le", "surrogatepass")
    part = encoded[2 * entity.offset : 2 * (entity.offset + entity.length)]
    return part.decode("utf-16-le", "replace")


def replies_to(message: Message, me: Identity) -> bool:
    """An answer to the bot, here or to what it said in another chat.

    Each message of a topic claims to answer the topic's first one, which is no answer.
    """
    if message.external_reply is not None:
        origin = message.external_reply.origin
        return isinstance(origin, MessageOriginUser) and origin.sender_user.id == me.id
    target = message.reply_to_message
    if target is None or target.from_user is None or target.from_user.id != me.id:
        return False
    is_root = message.is_topic_message and target.message_id == message.message_thread_id
    return not is_root and target.forum_topic_created is None


def called_by(names: tuple[str, ...], text: str) -> bool:
    """A name stands in the text as a whole word; case does not matter, nor ё for е."""
    return bool(names) and _any_of(names).search(_folded(text)) is not None


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    choice = "|".join(re.escape(_folded(name)) for name in names)
    return re.compile(rf"(?<![\w@/])(?:{choice})(?!\w)")


def _folded(text: str) -> str:
    return text.casefold().replace("ё", "е")
