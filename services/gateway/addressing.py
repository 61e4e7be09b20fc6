"""Is this message for the bot? A pure function of the message, the bot and the chat's state.

Knows Telegram's types, and neither the store nor the network.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from aiogram.types import Message, MessageEntity

KNOWN_COMMANDS = ("start", "help", "insanity")
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?(?!\S)")


class Reason(StrEnum):
    """Why the bot answers, or why it keeps quiet."""

    PRIVATE = "private"
    COMMAND = "command"
    MENTION = "mention"
    TEXT_MENTION = "text_mention"
    REPLY = "reply"
    NAME = "name"
    INSANITY = "insanity"

    OWN = "own"
    CHANNEL = "channel"
    NO_TEXT = "no_text"
    FOREIGN_COMMAND = "foreign_command"
    BOTS_COMMAND = "bots_command"
    BOT_DEPTH = "bot_depth"
    NOT_ADDRESSED = "not_addressed"


SPEAKS = frozenset(tuple(Reason)[: list(Reason).index(Reason.OWN)])


@dataclass(frozen=True)
class Identity:
    """Who the bot is: its id and username at Telegram, and its names in all their forms."""

    id: int
    username: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChatState:
    """What the decision needs of a chat.

    bots_in_a_row   messages of other bots since a person last wrote, this one not counted
    """

    insane: bool = False
    bots_in_a_row: int = 0


@dataclass(frozen=True)
class Decision:
    reason: Reason
    command: str | None = None

    @property
    def speaks(self) -> bool:
        return self.reason in SPEAKS


def text_of(message: Message) -> str:
    return message.text or message.caption or ""


def spoken_text(message: Message, me: Identity) -> str:
    """What was said, without the bot's own @username: chats do not talk like that among friends."""
    said = re.sub(rf"@{re.escape(me.username)}(?!\w)[,:;]?", "", text_of(message), flags=re.I)
    return " ".join(said.split()) or text_of(message)


def from_bot(message: Message) -> bool:
    """A bot wrote it; people who write as a chat or a channel come under a bot's id and do not."""
    sender = message.from_user
    return sender is not None and sender.is_bot and message.sender_chat is None


def topic_of(message: Message) -> int:
    """The forum topic, else 0: outside forums a thread's id only marks a chain of replies."""
    return (message.message_thread_id or 0) if message.is_topic_message else 0


def decide(message: Message, me: Identity, chat: ChatState, bot_depth: int) -> Decision:
    """Whether to answer, and why; commands carry their name."""
    if message.from_user is not None and message.from_user.id == me.id:
        return Decision(Reason.OWN)
    if message.chat.type == "channel":
        return Decision(Reason.CHANNEL)
    if not text_of(message).strip():
        return Decision(Reason.NO_TEXT)
    if found := _COMMAND.match(message.text or ""):
        told = _command(found[1].lower(), found[2], message, me)
        if told is not None:
            return told
    reason = _addressed(message, me, chat)
    if reason is None:
        return Decision(Reason.NOT_ADDRESSED)
    if from_bot(message) and chat.bots_in_a_row >= bot_depth:
        return Decision(Reason.BOT_DEPTH)
    return Decision(reason)


def _command(name: str, target: str | None, message: Message, me: Identity) -> Decision | None:
    """None where it is no command of anybody's: a word with a slash, in private."""
    if from_bot(message):
        return Decision(Reason.BOTS_COMMAND)
    if target is not None and target.lower() != me.username.lower():
        return Decision(Reason.FOREIGN_COMMAND)
    if name in KNOWN_COMMANDS:
        return Decision(Reason.COMMAND, name)
    return None if message.chat.type == "private" else Decision(Reason.FOREIGN_COMMAND)


def _addressed(message: Message, me: Identity, chat: ChatState) -> Reason | None:
    if message.chat.type == "private":
        return Reason.PRIVATE
    if (reason := _mentioned(message, me)) is not None:
        return reason
    if _replies_to(message, me):
        return Reason.REPLY
    if called_by(me.names, text_of(message)):
        return Reason.NAME
    return Reason.INSANITY if chat.insane else None


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
    units = text.encode("utf-16-le", "surrogatepass")
    part = units[2 * entity.offset : 2 * (entity.offset + entity.length)]
    return part.decode("utf-16-le", "replace")


def _replies_to(message: Message, me: Identity) -> bool:
    """A reply to the bot; each message of a topic claims to answer the topic's first one."""
    target = message.reply_to_message
    if target is None or target.from_user is None or target.from_user.id != me.id:
        return False
    is_root = message.is_topic_message and target.message_id == message.message_thread_id
    return not is_root and target.forum_topic_created is None


def called_by(names: tuple[str, ...], text: str) -> bool:
    """A name stands in the text as a whole word; case does not matter, nor ё for е."""
    return bool(names) and _any_of(names).search(_plain(text)) is not None


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    choice = "|".join(re.escape(_plain(name)) for name in names)
    return re.compile(rf"(?<![\w@/])(?:{choice})(?!\w)")


def _plain(text: str) -> str:
    return text.casefold().replace("ё", "е")
