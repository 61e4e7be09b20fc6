"""The order in which updates are handled: in each chat on two lanes, for talk and for commands.

A chat's talk is answered one message after another. Commands and buttons wait for none of it; but
what is said after a command is heard after it.
"""

from collections.abc import Awaitable, Callable, Iterable

from contracts.clock import Clock
from services.gateway.chat_queues import ChatQueues
from services.gateway.decision import is_order
from services.gateway.incoming import Identity
from services.gateway.store.inbox import Arrival

Arrived = tuple[int, int, bool]
"""The queue and the id of an update, and whether it waits for no talk."""


class Lanes:
    """`handle` is called for each update; `arrivals` and `talk` are what waits."""

    def __init__(
        self, handle: Callable[[int], Awaitable[None]], me: Identity, clock: Clock
    ) -> None:
        self._handle = handle
        self._me = me
        self._troubled = set[int]()  # chats whose updates share the queue 0
        self.arrivals = ChatQueues[int, Arrived](self._take, clock, "update failed")
        self.talk = ChatQueues[int, int](handle, clock, "update failed")

    def take_all(self, arrivals: Iterable[Arrival]) -> None:
        for queue, update_id, update in arrivals:
            chat = update.chat if update else 0
            if queue == 0:
                self._troubled.add(chat)
            elif chat in self._troubled and not self._is_idle(0):
                queue = 0  # behind what was written before
            needs_no_thought = is_order(update, self._me)
            if needs_no_thought or not self.arrivals.is_empty(queue):
                self.arrivals.put(queue, (queue, update_id, needs_no_thought))
            else:
                self.talk.put(queue, update_id)

    def _is_idle(self, queue: int) -> bool:
        return self.arrivals.is_empty(queue) and self.talk.is_empty(queue)

    async def _take(self, arrived: Arrived) -> None:
        queue, update_id, needs_no_thought = arrived
        if needs_no_thought:
            await self._handle(update_id)
        else:
            self.talk.put(queue, update_id)
