"""People, bots and chats: state in memory, and how each of them is found.

Knows nothing of HTTP, queues or pages.
"""

from collections.abc import Iterable

from aiogram.types import Chat, User

from services.sandbox.errors import bad_request, upgraded
from services.sandbox.rooms import GROUP, BotAccount, Room

GROUP_ID = -1_001_000_000_001
UPGRADED_ID = -1_002_000_000_000
GROUP_TITLE = "Общая комната"
FIRST_PERSON_ID = 7_000_001


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
        self.upgraded: dict[int, int] = {}
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

    def administers(self, room: Room, person: User) -> bool:
        return not room.private and (person == self.owner or person.id in room.administrators)

    def room_of_person(self, chat: str, person: User) -> Room:
        """What a person calls `group` or by a bot's name."""
        return self.group if chat == GROUP else self._private(self.bot(chat), person)

    def room_of_bot(self, chat_id: int | str, bot: BotAccount) -> Room:
        """What a bot calls by id: a private chat has the person's."""
        if chat_id == self.group.chat.id:
            return self.group
        if isinstance(chat_id, int) and chat_id in self.upgraded:
            raise upgraded(self.upgraded[chat_id])
        if person := self.people.get(int(chat_id)) if isinstance(chat_id, int) else None:
            return self._private(bot, person)
        raise bad_request("chat not found")

    def migrate(self) -> Room:
        """Give the group a new id, with nothing written in it yet; answers what it was before.

        Members, administrators and kicked bots stay. The new id counts from `first_id` too.
        """
        old, number = self.group, UPGRADED_ID - self.first_id - len(self.upgraded)
        old.chat = old.chat.model_copy(update={"type": "group", "is_forum": None})
        self.upgraded[old.chat.id] = number
        self.group = Room(
            GROUP,
            Chat(id=number, type="supergroup", title=GROUP_TITLE),
            old.bots,
            expelled=old.expelled,
            administrators=old.administrators,
            started=True,
        )
        self.rooms[GROUP] = self.group
        return old

    def _private(self, bot: BotAccount, person: User) -> Room:
        key = f"{bot.name}/{person.id}"
        if key not in self.rooms:
            chat = Chat(id=person.id, type="private", first_name=person.first_name)
            self.rooms[key] = Room(key, chat, [bot], last_id=self.first_id)
        return self.rooms[key]
