"""A chat: its messages and topics, who is in it, and the rules of writing there.

Knows nothing of other chats, HTTP, queues or pages. Time comes in with each message.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiogram.types import Chat, ForumTopicCreated, InlineKeyboardMarkup, Message, User

from services.sandbox.content import Media, content
from services.sandbox.errors import bad_request, forbidden

GROUP = "group"
ANONYMOUS = User(id=1087968824, is_bot=True, first_name="Group", username="GroupAnonymousBot")
_TOPIC_COLOR = 0x6FB9F0
Change = Callable[[Message], dict[str, Any]]  # the fields that an edit gives a message


@dataclass(frozen=True)
class BotAccount:
    """A bot; `privacy` means that in groups it gets only what is addressed to it."""

    name: str
    token: str
    user: User
    privacy: bool = False

    @property
    def mention(self) -> str:
        return f"@{self.user.username}"


@dataclass(frozen=True)
class Draft:
    """A message before it is accepted.

    text        words, or the caption of `media`
    lenient     sent even if what it answers is gone
    anonymous   written in the group's name
    """

    text: str
    reply_to: int | None = None
    thread: int | None = None
    lenient: bool = False
    media: Media | None = None
    album: str | None = None
    anonymous: bool = False
    markup: InlineKeyboardMarkup | None = None


@dataclass
class Room:
    """A chat.

    key              `group` or `<bot>/<person's id>`
    threads          ids of the threads that can be written in
    topics           the first message of each thread that was opened as a topic
    deleted          ids of deleted threads
    expelled         names of the bots that were blocked or kicked
    administrators   ids of the people promoted in the group, without its creator
    """

    key: str
    chat: Chat
    bots: list[BotAccount]
    messages: dict[int, Message] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    topics: dict[int, Message] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    expelled: set[str] = field(default_factory=set)
    administrators: set[int] = field(default_factory=set)
    started: bool = False
    last_id: int = 0

    @property
    def private(self) -> bool:
        return self.chat.type == "private"

    def admit(self, bot: BotAccount) -> None:
        """Raise unless the bot may write here."""
        if bot.name in self.expelled:
            raise forbidden(
                "bot was blocked by the user"
                if self.private
                else "bot was kicked from the supergroup chat"
            )
        if self.private and not self.started:
            raise forbidden("bot can't initiate conversation with a user")

    def message(self, message_id: int, what: str) -> Message:
        """Raises with `what` was wanted: `message to edit`, ..."""
        if message_id not in self.messages:
            raise bad_request(f"{what} not found")
        return self.messages[message_id]

    def keep(self, author: User, at: datetime, **fields: Any) -> Message:
        """Add a message as it is, under the next id."""
        self.last_id += 1
        return self._put(self.last_id, author, at, **fields)

    def post(self, author: User, draft: Draft, at: datetime) -> Message:
        """Accept a message of a person or a bot."""
        fields = content(draft.text, draft.media, draft.album, self.last_id + 1)
        self._enter(draft.thread, author)
        answered = self._answered(draft)
        self.started = self.started or not author.is_bot
        return self.keep(
            ANONYMOUS if draft.anonymous else author,
            at,
            sender_chat=self.chat if draft.anonymous else None,
            reply_to_message=answered,
            message_thread_id=draft.thread,
            is_topic_message=True if draft.thread is not None else None,
            reply_markup=draft.markup,
            **fields,
        )

    def edit(self, author: User, message_id: int, change: Change, at: datetime) -> Message:
        """Change the author's own message."""
        found = self.message(message_id, "message to edit")
        if found.from_user != author:
            raise bad_request("message can't be edited")
        changed = found.model_copy(update=change(found))
        if changed == found:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        edited = changed.model_copy(update={"edit_date": int(at.timestamp())})
        self.messages[message_id] = edited
        return edited

    def delete(self, bot: BotAccount, message_id: int) -> None:
        """In a group a bot without rights deletes only what it wrote itself."""
        found = self.message(message_id, "message to delete")
        if not self.private and found.from_user != bot.user:
            raise bad_request("message can't be deleted")
        del self.messages[message_id]

    def open_topic(self, number: int, name: str, author: User, at: datetime) -> Message:
        """The id of a topic is that of its first message, which tells that it was opened."""
        if number in self.messages or number in self.deleted:
            raise bad_request("message id is taken")
        self.chat = self.chat.model_copy(update={"is_forum": True})
        self.last_id = max(self.last_id, number)
        self.threads.add(number)
        self.topics[number] = self._put(
            number,
            author,
            at,
            message_thread_id=number,
            is_topic_message=True,
            forum_topic_created=ForumTopicCreated(name=name, icon_color=_TOPIC_COLOR),
        )
        return self.topics[number]

    def delete_topic(self, number: int) -> list[int]:
        """Delete a topic with its messages; answers their ids."""
        self.thread(number)
        self.threads.remove(number)
        self.topics.pop(number, None)
        self.deleted.add(number)
        gone = [m.message_id for m in self.messages.values() if m.message_thread_id == number]
        for message_id in gone:
            del self.messages[message_id]
        return gone

    def thread(self, number: int | None) -> None:
        """Raise if there is no such thread."""
        if number is not None and number not in self.threads:
            raise bad_request("message thread not found")

    def _enter(self, number: int | None, author: User) -> None:
        """A person's first message begins a thread, unless it was deleted."""
        if number is not None and not author.is_bot and number not in self.deleted:
            self.threads.add(number)
        self.thread(number)

    def _answered(self, draft: Draft) -> Message | None:
        """The message answered, without the one that it answers itself; else the topic's first."""
        root = self.topics.get(draft.thread or 0)
        if draft.reply_to is None:
            return root
        found = self.messages.get(draft.reply_to)
        if found is None and not draft.lenient:
            raise bad_request("message to be replied not found")
        return found.model_copy(update={"reply_to_message": None}) if found else root

    def _put(self, message_id: int, author: User, at: datetime, **fields: Any) -> Message:
        message = Message(
            message_id=message_id, date=at, chat=self.chat, from_user=author, **fields
        )
        self.messages[message_id] = message
        return message
