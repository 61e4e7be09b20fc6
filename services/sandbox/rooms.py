"""A chat: its messages and topics, who is in it, and the rules of writing there. Pure.

Knows nothing of other chats, HTTP, queues or pages. The time comes in with each message.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiogram.types import Chat, InlineKeyboardMarkup, Message, User

from services.sandbox.errors import bad_request, forbidden
from services.sandbox.messages import Media, edit_fields, new_fields, service, shown_text

GROUP = "group"
ANONYMOUS = User(id=1087968824, is_bot=True, first_name="Group", username="GroupAnonymousBot")
_TOPIC_COLOR = 0x6FB9F0


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

    text        words, or the caption of `media`; None where only a keyboard is edited
    lenient     sent even if the message that it answers is gone
    anonymous   written in the group's name
    """

    text: str | None
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
    def is_private(self) -> bool:
        return self.chat.type == "private"

    def check_admits(self, bot: BotAccount) -> None:
        """Raise unless the bot may write here."""
        if bot.name in self.expelled:
            way = "blocked by the user" if self.is_private else "kicked from the supergroup chat"
            raise forbidden(f"bot was {way}")
        if self.is_private and not self.started:
            raise forbidden("bot can't initiate conversation with a user")

    def check_thread(self, number: int | None) -> None:
        """Raise unless the thread can be written in."""
        if number is not None and number not in self.threads:
            raise bad_request("message thread not found")

    def message(self, message_id: int, role: str) -> Message:
        """Return a message; the error names its role: `message to edit`, ..."""
        if message_id not in self.messages:
            raise bad_request(f"{role} not found")
        return self.messages[message_id]

    def add(self, author: User, at: datetime, number: int | None = None, **fields: Any) -> Message:
        """Add a message as it is, under the number or the next id."""
        number = self.last_id + 1 if number is None else number
        self.last_id = max(self.last_id, number)
        message = Message(message_id=number, date=at, chat=self.chat, from_user=author, **fields)
        self.messages[number] = message
        return message

    def post(self, author: User, draft: Draft, at: datetime) -> Message:
        """Accept a message of a person or a bot."""
        fields = new_fields(draft.text or "", draft.media, draft.album, self.last_id + 1)
        self._enter(draft.thread, author)
        answered = self._replied_to(draft)
        self.started = self.started or not author.is_bot
        return self.add(
            ANONYMOUS if draft.anonymous else author,
            at,
            sender_chat=self.chat if draft.anonymous else None,
            reply_to_message=answered,
            message_thread_id=draft.thread,
            is_topic_message=True if draft.thread is not None else None,
            reply_markup=draft.markup,
            **fields,
        )

    def edit(self, author: User, message_id: int, draft: Draft, at: datetime) -> Message:
        """Change the author's own message: its text, unless there is none, and its keyboard."""
        found = self.message(message_id, "message to edit")
        if found.from_user != author:
            raise bad_request("message can't be edited")
        fields = {} if draft.text is None else edit_fields(found, draft.text)
        changed = found.model_copy(update={**fields, "reply_markup": draft.markup})
        if changed == found:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        self.messages[message_id] = changed.model_copy(update={"edit_date": int(at.timestamp())})
        return self.messages[message_id]

    def delete(self, bot: BotAccount, message_id: int) -> None:
        """In a group a bot without rights deletes only what it wrote itself."""
        found = self.message(message_id, "message to delete")
        if not self.is_private and found.from_user != bot.user:
            raise bad_request("message can't be deleted")
        del self.messages[message_id]

    def receivers(self, message: Message) -> list[BotAccount]:
        """Return the bots that get the message as an update: bots get other bots' messages too."""
        return [
            bot
            for bot in self.bots
            if bot.name not in self.expelled
            and bot.user != message.from_user
            and (self.is_private or not bot.privacy or is_addressed(bot, message))
        ]

    def _enter(self, number: int | None, author: User) -> None:
        """Let a person's first message begin a thread, unless it was deleted."""
        if number is not None and not author.is_bot and number not in self.deleted:
            self.threads.add(number)
        self.check_thread(number)

    def _replied_to(self, draft: Draft) -> Message | None:
        """Return the message answered, without the one that it answers; else the topic's first."""
        root = self.topics.get(draft.thread or 0)
        if draft.reply_to is None:
            return root
        found = self.messages.get(draft.reply_to)
        if found is None and not draft.lenient:
            raise bad_request("message to be replied not found")
        return found.model_copy(update={"reply_to_message": None}) if found else root


def is_addressed(bot: BotAccount, message: Message) -> bool:
    """Whether privacy mode lets a message through: service messages, answers, mentions, commands.

    Sources differ on plain mentions; here they pass, as BotFather says.
    """
    answered = message.reply_to_message
    if service(message) or (answered and answered.from_user == bot.user):
        return True
    name = bot.mention.lower()
    for entity in message.entities or message.caption_entities or []:
        text = entity.extract_from(shown_text(message)).lower()
        if entity.type == "mention" and text == name:
            return True
        if entity.type == "bot_command" and text.partition("@")[2] in ("", name[1:]):
            return True
    return False
