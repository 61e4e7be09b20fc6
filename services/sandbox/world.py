"""People, bots, chats and messages: state in memory, and the rules of writing.

Knows nothing of HTTP, queues or pages. Time comes in with each message.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from aiogram.types import Chat, Message, User

from services.sandbox.entities import accepted, entities
from services.sandbox.errors import bad_request, forbidden

GROUP = "group"
GROUP_ID = -1_001_000_000_001
GROUP_TITLE = "Общая комната"
FIRST_PERSON_ID = 7_000_001


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


@dataclass
class Room:
    """A chat. `key` is `group` or `<bot>/<person's id>`."""

    key: str
    chat: Chat
    bots: list[BotAccount]
    messages: dict[int, Message] = field(default_factory=dict)
    threads: set[int] = field(default_factory=set)
    expelled: set[str] = field(default_factory=set)
    started: bool = False
    last_id: int = 0

    @property
    def private(self) -> bool:
        return self.key != GROUP

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


@dataclass(frozen=True)
class Draft:
    """A message before it is accepted; `lenient` sends it even if what it answers is gone."""

    text: str
    reply_to: int | None = None
    thread: int | None = None
    lenient: bool = False


class World:
    """`first_id` is what ids of messages and updates count from."""

    def __init__(
        self, bots: Iterable[BotAccount], people: Iterable[str], first_id: int = 0
    ) -> None:
        self.first_id = first_id
        self.bots = {bot.token: bot for bot in bots}
        self.people: dict[int, User] = {}
        chat = Chat(id=GROUP_ID, type="supergroup", title=GROUP_TITLE)
        self.group = Room(GROUP, chat, list(self.bots.values()), started=True, last_id=first_id)
        self.rooms = {GROUP: self.group}
        for name in people:
            self.add_person(name)

    @property
    def owner(self) -> User:
        """The person who created the group."""
        return next(iter(self.people.values()))

    def add_person(self, name: str) -> User:
        """Anybody may join; a name known already is the same person."""
        for person in self.people.values():
            if person.first_name == name:
                return person
        taken = {bot.user.id for bot in self.bots.values()}
        number = FIRST_PERSON_ID + len(self.people)
        while number in taken or number in self.people:
            number += 1
        self.people[number] = User(id=number, is_bot=False, first_name=name, language_code="ru")
        return self.people[number]

    def person(self, who: int | str) -> User:
        """A person by id or by name."""
        for person in self.people.values():
            if who in (person.id, str(person.id), person.first_name):
                return person
        raise bad_request("user not found")

    def bot(self, name: str) -> BotAccount:
        for bot in self.bots.values():
            if bot.name == name:
                return bot
        raise bad_request("chat not found")

    def member(self, user_id: int) -> User:
        for user in (*self.people.values(), *(bot.user for bot in self.bots.values())):
            if user.id == user_id:
                return user
        raise bad_request("user not found")

    def room_of_person(self, chat: str, person: User) -> Room:
        """What a person calls `group` or by a bot's name."""
        return self.group if chat == GROUP else self._private(self.bot(chat), person)

    def room_of_bot(self, chat_id: int | str, bot: BotAccount) -> Room:
        """What a bot calls by id: a private chat has the person's."""
        if chat_id == GROUP_ID:
            return self.group
        if person := self.people.get(int(chat_id)) if isinstance(chat_id, int) else None:
            return self._private(bot, person)
        raise bad_request("chat not found")

    def _private(self, bot: BotAccount, person: User) -> Room:
        key = f"{bot.name}/{person.id}"
        if key not in self.rooms:
            chat = Chat(id=person.id, type="private", first_name=person.first_name)
            self.rooms[key] = Room(key, chat, [bot], last_id=self.first_id)
        return self.rooms[key]

    def post(self, room: Room, author: User, draft: Draft, at: datetime) -> Message:
        """Accept a message of a person or a bot."""
        text = accepted(draft.text)
        thread = draft.thread
        if thread is not None and not author.is_bot:
            room.threads.add(thread)
        if thread is not None and thread not in room.threads:
            raise bad_request("message thread not found")
        answered = self._answered(room, draft)
        room.last_id += 1
        room.started = room.started or not author.is_bot
        message = Message(
            message_id=room.last_id,
            date=at,
            chat=room.chat,
            from_user=author,
            text=text,
            entities=entities(text) or None,
            reply_to_message=answered,
            message_thread_id=thread,
            is_topic_message=True if thread is not None else None,
        )
        room.messages[message.message_id] = message
        return message

    def _answered(self, room: Room, draft: Draft) -> Message | None:
        """The message answered, without the one that it answers itself."""
        if draft.reply_to is None:
            return None
        found = room.messages.get(draft.reply_to)
        if found is None and not draft.lenient:
            raise bad_request("message to be replied not found")
        return found and found.model_copy(update={"reply_to_message": None})

    def edit(
        self, room: Room, bot: BotAccount, message_id: int, text: str, at: datetime
    ) -> Message:
        found = room.messages.get(message_id)
        if found is None:
            raise bad_request("message to edit not found")
        if found.from_user != bot.user:
            raise bad_request("message can't be edited")
        text = accepted(text)
        if text == found.text:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        changes = {
            "text": text,
            "entities": entities(text) or None,
            "edit_date": int(at.timestamp()),
        }
        room.messages[message_id] = found.model_copy(update=changes)
        return room.messages[message_id]

    def delete(self, room: Room, bot: BotAccount, message_id: int) -> None:
        """In a group a bot without rights deletes only what it wrote itself."""
        found = room.messages.get(message_id)
        if found is None:
            raise bad_request("message to delete not found")
        if not room.private and found.from_user != bot.user:
            raise bad_request("message can't be deleted")
        del room.messages[message_id]
