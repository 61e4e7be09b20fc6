"""Carries what happens in the world to those who hear of it: bots' queues and watching pages.

Owns everything that waits, so that closing it ends every wait.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from aiogram.types import ChatMemberUpdated, Message, User

from services.sandbox.faults import Faults
from services.sandbox.members import standing
from services.sandbox.updates import Updates
from services.sandbox.visibility import viewers
from services.sandbox.world import BotAccount, Draft, Room, World

Event = dict[str, object]


class Exchange:
    """`clock` gives unix time in seconds."""

    def __init__(self, world: World, clock: Callable[[], float]) -> None:
        self.world = world
        self.faults = Faults()
        self.queues = {token: Updates(world.first_id + 1) for token in world.bots}
        self.sent: list[Event] = []
        self.closed = asyncio.Event()
        self._clock = clock
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def person_says(self, room: Room, person: User, draft: Draft) -> Message:
        message = self.world.post(room, person, draft, self.now())
        self._deliver(room, message, "message")
        return message

    def bot_says(self, room: Room, bot: BotAccount, draft: Draft) -> Message:
        room.admit(bot)
        message = self.world.post(room, bot.user, draft, self.now())
        self.sent.append({"bot": bot.name, "chat": room.chat.id, **view(room, message)})
        self._deliver(room, message, "message")
        return message

    def bot_edits(self, room: Room, bot: BotAccount, message_id: int, text: str) -> Message:
        room.admit(bot)
        message = self.world.edit(room, bot, message_id, text, self.now())
        self._deliver(room, message, "edited_message")
        return message

    def bot_deletes(self, room: Room, bot: BotAccount, message_id: int) -> None:
        room.admit(bot)
        self.world.delete(room, bot, message_id)
        self._tell({"type": "deleted", "room": room.key, "id": message_id})

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


def view(room: Room, message: Message) -> Event:
    """A message as the page and the log show it."""
    author, answered = message.from_user, message.reply_to_message
    return {
        "room": room.key,
        "id": message.message_id,
        "from": author.id if author else None,
        "name": author.first_name if author else "",
        "text": message.text,
        "reply_to": answered.message_id if answered else None,
        "thread": message.message_thread_id,
        "at": int(message.date.timestamp()),
    }
