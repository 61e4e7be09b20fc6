"""The order in which updates are handled: two queues for each chat, for talk and for commands.

A chat's talk is answered one message after another. Commands and buttons wait for none of it; but
what is said after a command is heard after it. Updates over which the process may have died are
handled one at a time, whatever their chats: so the one is found over which it dies again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext

from contracts.clock import Clock
from services.gateway.chat_queues import ChatQueues
from services.gateway.decision import waits_for_no_talk
from services.gateway.incoming import Identity
from services.gateway.store.inbox import Arrival

Queued = tuple[int, int, bool]
"""The chat and the id of an update, and whether it is a command, which waits for no talk."""


class UpdateQueues:
    """`handle` is called for each update; `arrivals` and `talk` are what waits."""

    def __init__(
        self, handle: Callable[[int], Awaitable[None]], me: Identity, clock: Clock
    ) -> None:
        self._handle = handle
        self._me = me
        self._suspects = set[int]()
        self._suspect_at_work = asyncio.Lock()
        self.arrivals = ChatQueues[Queued](self._take, clock, "update failed")
        self.talk = ChatQueues[int](self._work, clock, "update failed")

    def put(self, arrivals: Iterable[Arrival]) -> None:
        for update_id, update, has_crashed in arrivals:
            if has_crashed:
                self._suspects.add(update_id)
            chat = update.chat if update else 0
            self.arrivals.put(chat, (chat, update_id, waits_for_no_talk(update, self._me)))

    async def _take(self, queued: Queued) -> None:
        chat, update_id, is_command = queued
        if is_command:
            await self._work(update_id)
        else:
            self.talk.put(chat, update_id)

    async def _work(self, update_id: int) -> None:
        async with self._suspect_at_work if update_id in self._suspects else nullcontext():
            await self._handle(update_id)
