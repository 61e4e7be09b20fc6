"""What Telegram sends, read tolerantly: messages, pressed buttons, the bot's membership. Pure.

Every fact of a message is derived here and nowhere else. A field that is missing, of an unexpected
type or new counts as not given; only an update without chat, sender or id is unreadable.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from contracts.turn import single_line
from services.gateway.telegram import Entities, Entity, Id, RepliedTo, Tolerant, User, at_path

_SERVICE = re.compile(
    "chat_|forum_topic_|_price_changed|_shared$|^(message_auto_delete|pinned|successful|refunded|"
    "connected|write_access|passport|proximity|boost|checklist_tasks|poll_option|giveaway_c|"
    "gift_upgrade|managed_bot|web_app)_?|^suggested_post_(?!info)"
)
"""Names of fields by which Telegram itself says what happened; by all others people do."""
_QUOTES = frozenset({"blockquote", "expandable_blockquote"})
_UNSPOKEN = _QUOTES | {"url", "email", "hashtag", "cashtag", "code", "pre", "text_mention"}
"""Parts of a text in which nobody is called by a name."""
_OUT = ("left", "kicked")

NOWHERE = -(1 << 40)
"""Ids from here down are no message's: they are for what Telegram tells no id of."""


class Unreadable(ValueError):
    """An update of a kind that we know, without a chat, a sender or an id."""


@dataclass(frozen=True)
class Identity:
    """Who the bot is: its id and username at Telegram, and its names in all their case forms.

    `reads_all` is False in privacy mode: of groups in which it is no administrator it then gets
    commands, mentions and replies alone. With `calls_at_edge` its names call it only at the
    beginning and the end of a sentence.
    """

    id: int
    username: str
    names: tuple[str, ...] = ()
    reads_all: bool = True
    calls_at_edge: bool = False


class Message(RepliedTo):
    """A message, new or edited.

    edited_at             unix time at which its newest words were, 0 where nobody changed them
    album                 the album that it belongs to
    is_direct             it stands in the direct messages to a channel
    direct_topic          whose: one person's direct messages are a topic
    quote                 the part of what it answers that it quotes
    external_reply        what it answers in another chat
    elsewhere             who wrote that, where Telegram says so, and in which chat
    """

    chat: Id = at_path(0, "chat", "id")
    chat_type: str = at_path("", "chat", "type")
    chat_title: str = at_path("", "chat", "title")
    is_direct: bool = at_path(False, "chat", "is_direct_messages")
    direct_topic: Id = at_path(0, "direct_messages_topic", "topic_id")
    edited_at: float = Field(default=0.0, validation_alias="edit_date", ge=0, lt=1 << 40)
    album: str | None = at_path(None, "media_group_id")
    message_thread_id: Id = 0
    is_topic_message: bool = False
    entities: Entities = Field(default=[])
    caption_entities: Entities = Field(default=[])
    replied_to: RepliedTo = at_path(RepliedTo(), "reply_to_message")
    quote: str = at_path("", "quote", "text")
    elsewhere: User = at_path(User(), "external_reply", "origin", "sender_user")
    external_reply: dict[str, Any] = at_path({}, "external_reply")
    elsewhere_chat: Id = at_path(0, "external_reply", "chat", "id")
    forward_origin: Any = None
    via_bot: Any = None
    migrate_from_chat_id: Id = 0
    migrate_to_chat_id: Id = 0
    has_media: bool = False
    is_edit: bool = False

    @property
    def is_private(self) -> bool:
        return self.chat_type == "private"

    @property
    def is_move(self) -> bool:
        """It tells that a group became a supergroup."""
        return self.migrate_from_chat_id != 0 or self.migrate_to_chat_id != 0

    @property
    def topic(self) -> int:
        """The conversation within the chat: a forum topic or one person's direct messages.

        0 elsewhere: outside forums a thread is only a chain of replies.
        """
        if self.is_direct or self.direct_topic:
            return self.direct_topic or self.sender
        return self.message_thread_id if self.is_topic_message else 0

    @property
    def thread(self) -> int:
        """The message under which it stands as a comment or in a chain of replies, 0 none."""
        return 0 if self.topic or self.is_private else self.message_thread_id

    @property
    def post(self) -> int:
        """The post that it comments itself, 0 none: in a thread alone it may as well be a reply."""
        return self.replied_to.message_id if self.replied_to.is_automatic_forward else 0

    @property
    def place(self) -> dict[str, Any]:
        """What sends an answer where the message stands, where chat and forum topic do not.

        A thread outside forums has no id to send: what quotes nothing in it leaves it, so it is not
        sent where the message is gone.
        """
        if self.is_direct or self.direct_topic:
            return {"direct_messages_topic_id": self.topic, "message_thread_id": None}
        return {"reply_parameters": {"message_id": self.message_id}} if self.thread else {}

    def outside_thread(self) -> "Message":
        """The same where it stands in no thread, such as a chain of replies."""
        return self.model_copy(update={"message_thread_id": 0}) if self.thread else self

    @property
    def is_borrowed(self) -> bool:
        """Its words are not its sender's own: forwarded, or made by another bot inline."""
        return bool(self.forward_origin or self.via_bot)

    def facts(self) -> dict[str, Any]:
        """Return what the store keeps of it, as parameters of a query."""
        quoted = self.quoted
        return {
            **{"chat": self.chat, "topic": self.topic, "sender": self.sender, "at": self.at},
            **{"message_id": self.message_id, "album": self.album, "is_bot": self.is_by_bot},
            **{"reply_to": quoted.message_id if quoted else 0, "post": self.post},
        }

    @property
    def spoken(self) -> str:
        """The text with signs in place of addresses, tags, code and what others said."""
        units = bytearray(self.text, "utf-16-le")
        for each in self.entities or self.caption_entities:
            if each.type in _UNSPOKEN:
                units[each.part] = b"/\0" * (len(units[each.part]) // 2)
        return units.decode("utf-16-le", "replace")

    def mentions(self) -> list[tuple[Entity, str]]:
        """Return whom it mentions, and with which words; not whom others mention that it quotes."""
        units, marked = self.text.encode("utf-16-le"), self.entities or self.caption_entities
        quotes = [range(e.offset, e.offset + e.length) for e in marked if e.type in _QUOTES]
        own = (e for e in marked if "mention" in e.type and not any(e.offset in q for q in quotes))
        return [(each, units[each.part].decode("utf-16-le", "replace")) for each in own]

    @property
    def answered(self) -> int:
        """Whom it answers, here or what was said in another chat; 0 for nobody.

        All anonymous administrators of a group are one. A post and who hides have no id: NOWHERE.
        Every message of a topic seems to reply to the topic's first one, and every comment to its
        post, which is no answer.
        """
        if self.external_reply:
            return self.elsewhere.id or NOWHERE
        return 0 if self.post or self._answers_opening() else self.replied_to.sender

    def _answers_opening(self) -> bool:
        opens_topic = self.topic != 0 and self.replied_to.message_id == self.topic
        return opens_topic or self.replied_to.forum_topic_created is not None

    @property
    def quoted(self) -> RepliedTo | None:
        """What it answers or comments, with the words that it quotes or else all; None without any.

        What was said in another chat has no id here and gets one of its own.
        """
        said, words = self.replied_to, self.quote or self.replied_to.said
        if not single_line(words) or self._answers_opening():
            return None
        number = said.message_id or NOWHERE - self.message_id
        user = self.elsewhere if self.elsewhere.id else said.user
        return said.model_copy(update={"message_id": number, "plain": words, "user": user})


class ButtonPress(Tolerant):
    """A button below one of the bot's messages was pressed.

    Of a message that is too old Telegram tells no more than a date of 0, or nothing.
    """

    id: str = ""
    data: str = ""
    sender: Id = at_path(0, "from", "id")
    message: Message = Message()

    @property
    def chat(self) -> int:
        return self.message.chat or self.sender

    @property
    def topic(self) -> int:
        return self.message.topic


class Membership(Tolerant):
    """The bot was blocked, put out of a group, added to one or given other rights."""

    chat: Id = at_path(0, "chat", "id")
    chat_type: str = at_path("", "chat", "type")
    sender: Id = at_path(0, "from", "id")
    before: str = at_path("", "old_chat_member", "status")
    after: str = at_path("", "new_chat_member", "status")

    @property
    def is_arrival(self) -> bool:
        """Whether it was added to a group, not only promoted."""
        return self.before in _OUT and self.after not in _OUT and "group" in self.chat_type


Update = Message | ButtonPress | Membership


def read_update(payload: Mapping[str, Any], now: float) -> Update | None:
    """Return what an update says; None for one that means nothing to us.

    `now` stands for a time that cannot be read. Raises Unreadable.
    """
    match payload:
        case {"message": raw}:
            return read_message(raw, now)
        case {"edited_message": raw}:
            return read_message(raw, now, is_edit=True)
        case {"callback_query": raw}:
            press = ButtonPress.model_validate(raw if isinstance(raw, dict) else {})
            if press.id:
                return press
        case {"my_chat_member": raw}:
            change = Membership.model_validate(raw if isinstance(raw, dict) else {})
            if change.chat and change.sender:
                return change
        case _:
            return None
    raise Unreadable


def read_message(raw: Any, now: float, is_edit: bool = False) -> Message:
    """Return a message; raises Unreadable."""
    values = raw if isinstance(raw, dict) else {}
    has_media = not (values.get("text") or any(map(_SERVICE.search, values)))
    message = Message.model_validate({**values, "has_media": has_media, "is_edit": is_edit})
    if not (message.chat and message.sender and message.message_id):
        raise Unreadable
    return message if message.at else message.model_copy(update={"at": now})
