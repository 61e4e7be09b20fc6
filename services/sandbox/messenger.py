"""What people and bots do, and who gets to know it: the bots' queues and the watching pages.

Owns everything that waits, so that closing it ends every wait.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiogram.types import BotCommand, CallbackQuery, Message, User

from services.sandbox.errors import bad_request
from services.sandbox.messages import Event, buttons, view
from services.sandbox.rooms import BotAccount, Draft, Room
from services.sandbox.update_queue import LONGEST_POLL, UpdateQueue
from services.sandbox.world import World


@dataclass(frozen=True)
class Press:
    """A press that its bot has not answered yet."""

    room: Room
    bot: BotAccount
    person: int


class Messenger:
    """`clock` gives unix time in seconds."""

    def __init__(
        self,
        world: World,
        clock: Callable[[], float],
        longest_poll: float = LONGEST_POLL,
    ) -> None:
        self.world = world
        self._longest_poll = longest_poll
        self.queues = {token: UpdateQueue(world.first_id + 1, longest_poll) for token in world.bots}
        self.presses: dict[str, Press] = {}
        self.closed = asyncio.Event()
        self._clock = clock
        self._last_press = world.first_id
        self._watchers: set[asyncio.Queue[Event | None]] = set()

    def now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def post(self, room: Room, author: User, draft: Draft) -> Message:
        """Accept a message of a person or a bot."""
        return self._deliver(room, room.post(author, draft, self.now()))

    def edit(self, room: Room, author: User, message_id: int, draft: Draft) -> Message:
        message = room.edit(author, message_id, draft, self.now())
        return self._deliver(room, message, "edited_message")

    def press(self, room: Room, person: User, message_id: int, data: str) -> str:
        """Press a button, and return the id of the callback query that the message's bot gets."""
        message = room.message(message_id, "message")
        bot = next((bot for bot in room.bots if bot.user == message.from_user), None)
        if bot is None or data not in [b["data"] for row in buttons(message) for b in row]:
            raise bad_request("button not found")
        self._last_press += 1
        number = str(self._last_press)
        self.presses[number] = Press(room, bot, person.id)
        query = CallbackQuery(
            id=number, from_user=person, chat_instance=room.key, message=message, data=data
        )
        self.queues[bot.token].put("callback_query", query)
        return number

    def add_person(self, name: str) -> User:
        person = self.world.add_person(name)
        self._publish({"type": "people"})
        return person

    def set_menu(
        self, bot: BotAccount, commands: list[BotCommand], scope: Any, language: str | None
    ) -> None:
        self.world.menus[bot.token].put(commands, scope, language)
        self._publish({"type": "commands", "bot": bot.name})

    def add_bot(self, bot: BotAccount) -> None:
        # its updates count from now: a gateway may remember an earlier bot of this name
        self.queues[bot.token] = UpdateQueue(int(self._clock()), self._longest_poll)
        self.world.add_bot(bot)
        self._publish({"type": "people"})

    def remove_bot(self, bot: BotAccount) -> None:
        self.world.remove_bot(bot)
        self.queues.pop(bot.token).close()
        self._publish({"type": "people"})

    def answer_press(self, bot: BotAccount, query: str, text: str | None, alert: bool) -> None:
        """Answer a press, once; the text is shown to who pressed."""
        press = self.presses.get(query)
        if press is None or press.bot != bot:
            why = "query is too old and response timeout expired or query ID is invalid"
            raise bad_request(why)
        del self.presses[query]
        answer: Event = {"room": press.room.key, "bot": bot.name, "person": press.person}
        self._publish({"type": "answered", "query": query, "text": text, "alert": alert, **answer})

    def delete(self, room: Room, bot: BotAccount, message_id: int) -> None:
        room.delete(bot, message_id)
        self._publish({"type": "deleted", "room": room.key, "id": message_id})

    def explain(self, room: Room, message_id: int, bot: BotAccount, why: Event) -> None:
        room.explain(message_id, bot, why)
        self._publish({"type": "explained", "room": room.key, "id": message_id})

    def show_action(self, room: Room, bot: BotAccount, action: str) -> None:
        self._publish({"type": "action", "room": room.key, "bot": bot.name, "action": action})

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncio.Queue[Event | None]]:
        """Give a page's queue of events from now on; None is the last."""
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

    def _deliver(self, room: Room, message: Message, kind: str = "message") -> Message:
        for bot in room.receivers(message):
            self.queues[bot.token].put(kind, message)
        self._publish({"type": "message", **view(room.key, message)})
        return message

    def _publish(self, event: Event) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(event)
