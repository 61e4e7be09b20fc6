"""People, bots and chats: state in memory, how each is found, and what somebody is in a chat.

Knows nothing of HTTP, queues or pages.
"""

from collections.abc import Iterable
from typing import TypeVar

from aiogram.types import Chat, ChatMemberMember, ChatMemberOwner, User

from services.sandbox.errors import bad_request
from services.sandbox.menus import Menus
from services.sandbox.rooms import GROUP, BotAccount, Room

GROUP_ID = -1_001_000_000_001
GROUP_TITLE = "Общая комната"
PEOPLE = ("Аня", "Борис", "Вера")
"""Who is there from the beginning; the first one created the group."""
FIRST_PERSON_ID = 7_000_001
T = TypeVar("T")
Member = ChatMemberOwner | ChatMemberMember


class World:
    """`first_id` is what ids of messages and updates count from."""

    def __init__(self, bots: Iterable[BotAccount], first_id: int = 0) -> None:
        self.first_id = first_id
        self.bots: dict[str, BotAccount] = {}
        self.menus: dict[str, Menus] = {}
        self.people: dict[int, User] = {}
        chat = Chat(id=GROUP_ID, type="supergroup", title=GROUP_TITLE)
        self.group = Room(GROUP, chat, [], first_id)
        self.rooms = {GROUP: self.group}
        for name in PEOPLE:
            self.add_person(name)
        for bot in bots:
            self.add_bot(bot)

    @property
    def owner(self) -> User:
        """The person who created the group."""
        return next(iter(self.people.values()))

    def add_person(self, name: str) -> User:
        """Anybody may join; a name known already is the same person."""
        for person in self.people.values():
            if person.first_name == name:
                return person
        number = FIRST_PERSON_ID + len(self.people)
        self.people[number] = User(id=number, is_bot=False, first_name=name, language_code="ru")
        return self.people[number]

    def add_bot(self, bot: BotAccount) -> None:
        self.bots[bot.token], self.menus[bot.token] = bot, Menus()
        self.group.bots.append(bot)

    def remove_bot(self, bot: BotAccount) -> None:
        """Remove a bot with its private chats."""
        del self.bots[bot.token], self.menus[bot.token]
        self.group.bots.remove(bot)
        for key in [key for key, room in self.rooms.items() if room.bots == [bot]]:
            if key != GROUP:
                del self.rooms[key]

    def person(self, who: int | str) -> User:
        """Find a person by id or by name."""
        names = (p for p in self.people.values() if who in (p.id, str(p.id), p.first_name))
        return _found(next(names, None), "user")

    def bot(self, name: str) -> BotAccount:
        return _found(next((b for b in self.bots.values() if b.name == name), None), "chat")

    def user(self, user_id: int) -> User:
        """Find a person or a bot."""
        bots = {bot.user.id: bot.user for bot in self.bots.values()}
        return _found({**bots, **self.people}.get(user_id), "user")

    def room_of_person(self, chat: str, person: User) -> Room:
        """Find what a person calls `group` or by a bot's name."""
        return self.group if chat == GROUP else self._private(self.bot(chat), person)

    def room_of_bot(self, chat_id: int | str | None, bot: BotAccount) -> Room:
        """Find what a bot calls by id: a private chat has the person's."""
        if chat_id == self.group.chat.id:
            return self.group
        if isinstance(chat_id, int) and chat_id in self.people:
            return self._private(bot, self.people[chat_id])
        raise bad_request("chat not found")

    def member(self, room: Room, user_id: int) -> Member:
        """Return a user as a member of the chat; all people and bots are in the group."""
        user = self.user(user_id)
        if not room.is_private and user == self.owner:
            return ChatMemberOwner(user=user, is_anonymous=False)
        if room.is_private and user.id not in (room.chat.id, room.bots[0].user.id):
            raise bad_request("user not found")
        return ChatMemberMember(user=user)

    def _private(self, bot: BotAccount, person: User) -> Room:
        key = f"{bot.name}/{person.id}"
        if key not in self.rooms:
            chat = Chat(id=person.id, type="private", first_name=person.first_name)
            self.rooms[key] = Room(key, chat, [bot], self.first_id)
        return self.rooms[key]


def _found(found: T | None, what: str) -> T:
    if found is None:
        raise bad_request(f"{what} not found")
    return found
