"""Carries what happens in the world to those who hear of it: bots' queues and watching pages.

Owns everything that waits, so that closing it ends every wait.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiogram.types import CallbackQuery, ChatMemberUpdated, Message, User

from services.sandbox.content import edited
from services.sandbox.errors import bad_request, too_many
from services.sandbox.faults import Call, Faults
from services.sandbox.flood import Flood
from services.sandbox.keyboard import Press, Presses, has_button
from services.sandbox.members import standing
from services.sandbox.rooms import ANONYMOUS, BotAccount, Change, Draft, Room
from services.sandbox.updates import LONGEST_POLL, Updates
from services.sandbox.view import Event, view
from services.sandbox.visibility import viewers
from services.sandbox.world import World


class Exchange:
    """`clock` gives unix time in seconds; `on_call` is told each call of a bot as it arrives."""

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        flood: Flood,
        longest_poll: float = LONGEST_POLL,
    ) -> None:
        self.world = world
        self.flood = flood
        self.faults = Faults()
        self.queues = {token: Updates(world.first_id + 1, longest_poll) for token in world.bots}
        self.on_call: Callable[[Call], None] = lambda _: None
        self.sent: list[Event] = []
        self.answered: list[Event] = []
        self.closed = asyncio.Event()
        self.presses = Presses(world.first_id)
        self._clock = clock
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def person_says(self, room: Room, person: User, draft: Draft) -> Message:
        if draft.anonymous and not self.world.administers(room, person):
            raise bad_request("not enough rights to write anonymously")
        message = room.post(person, draft, self.now())
        self._deliver(room, message, "message")
        return message

    def person_edits(self, room: Room, person: User, message_id: int, text: str) -> Message:
        return self._edit(room, person, message_id, lambda found: edited(found, text))

    def person_presses(self, room: Room, person: User, message_id: int, data: str) -> str:
        """Answers the id of the callback query, which goes to the message's bot."""
        message = room.message(message_id, "message")
        bot = next((bot for bot in room.bots if bot.user == message.from_user), None)
        if bot is None or not has_button(message, data):
            raise bad_request("button not found")
        number = self.presses.add(Press(room, bot, person.id))
        query = CallbackQuery(
            id=number, from_user=person, chat_instance=room.key, message=message, data=data
        )
        if bot.name not in room.expelled:
            self.queues[bot.token].put("callback_query", query)
        return number

    def bot_says(self, room: Room, bot: BotAccount, draft: Draft) -> Message:
        room.admit(bot)
        now, chat = self._clock(), room.chat.id
        if seconds := self.flood.wait(bot.name, chat, room.private, now):
            raise too_many(seconds)
        message = room.post(bot.user, draft, self.now())
        self.flood.took(bot.name, chat, now)
        self.sent.append({"bot": bot.name, "chat": chat, **view(room, message)})
        self._deliver(room, message, "message")
        return message

    def bot_edits(self, room: Room, bot: BotAccount, message_id: int, change: Change) -> Message:
        room.admit(bot)
        return self._edit(room, bot.user, message_id, change)

    def bot_answers(self, bot: BotAccount, query: str, text: str | None, alert: bool) -> None:
        """Answer a press; the text is shown to who pressed."""
        press = self.presses.answered(query, bot)
        answer: Event = {
            "room": press.room.key,
            "bot": bot.name,
            "person": press.person,
            "query": query,
            "text": text,
            "alert": alert,
        }
        self.answered.append(answer)
        self._tell({"type": "answered", **answer})

    def bot_deletes(self, room: Room, bot: BotAccount, message_id: int) -> None:
        room.admit(bot)
        room.delete(bot, message_id)
        self._tell_deleted(room, message_id)

    def bot_acts(self, room: Room, bot: BotAccount, action: str) -> None:
        room.admit(bot)
        self._tell({"type": "action", "room": room.key, "bot": bot.name, "action": action})

    def person_joins(self, name: str) -> User:
        person = self.world.add_person(name)
        self._tell({"type": "people"})
        return person

    def expel(self, room: Room, bot: BotAccount, by: User, expelled: bool) -> None:
        """Block the bot or kick it out, or take it back; it is told in its own queue."""
        if (bot.name in room.expelled) == expelled:
            return
        (room.expelled.add if expelled else room.expelled.discard)(bot.name)
        change = ChatMemberUpdated(
            chat=room.chat,
            from_user=by,
            date=self.now(),
            old_chat_member=standing(bot.user, not expelled),
            new_chat_member=standing(bot.user, expelled),
        )
        self.queues[bot.token].put("my_chat_member", change)

    def promote(self, person: User, on: bool) -> None:
        """Make a person an administrator of the group, or no more."""
        if person == self.world.owner:
            raise bad_request("the creator is always an administrator")
        room = self.world.group
        (room.administrators.add if on else room.administrators.discard)(person.id)

    def open_topic(self, number: int, name: str) -> Message:
        room = self.world.group
        message = room.open_topic(number, name, self.world.owner, self.now())
        self._deliver(room, message, "message")
        return message

    def delete_topic(self, number: int) -> None:
        """Bots are not told, as in Telegram."""
        for message_id in self.world.group.delete_topic(number):
            self._tell_deleted(self.world.group, message_id)

    def migrate(self) -> Room:
        """Turn the group into a supergroup; the bots are told in both chats."""
        old, new = self.world.migrate(), self.world.group
        last = old.keep(self.world.owner, self.now(), migrate_to_chat_id=new.chat.id)
        self._deliver(old, last, "message")
        whence = {"sender_chat": new.chat, "migrate_from_chat_id": old.chat.id}
        self._deliver(new, new.keep(ANONYMOUS, self.now(), **whence), "message")
        self._tell({"type": "migrated"})
        return new

    def _edit(self, room: Room, author: User, message_id: int, change: Change) -> Message:
        message = room.edit(author, message_id, change, self.now())
        self._deliver(room, message, "edited_message")
        return message

    def _tell_deleted(self, room: Room, message_id: int) -> None:
        self._tell({"type": "deleted", "room": room.key, "id": message_id})

    def _deliver(self, room: Room, message: Message, kind: str) -> None:
        for bot in viewers(room, message):
            self.queues[bot.token].put(kind, message)
        self._tell({"type": "message", **view(room, message)})

    def _tell(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(event)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["asyncio.Queue[Event | None]"]:
        """Events from now on; None is the last."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._watchers.add(queue)
        if self.closed.is_set():
            queue.put_nowait(None)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        """End every long poll, event stream and held request."""
        self.closed.set()
        for queue in self.queues.values():
            queue.close()
        for watcher in self._watchers:
            watcher.put_nowait(None)
