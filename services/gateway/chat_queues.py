"""A queue and a worker for each chat: one thing after another within a chat, chats side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from contracts.clock import Clock
from contracts.retry import retry
from services.gateway.errors import Stopping, keep_trying

I = TypeVar("I", bound=Hashable)  # noqa: E741


class ChatQueues(Generic[I]):
    """Calls `work` for each item, until it succeeds; `failed` is logged where it does not."""

    def __init__(self, work: Callable[[I], Awaitable[None]], clock: Clock, failed: str) -> None:
        self._work = work
        self._clock = clock
        self._policy = keep_trying(failed)
        self._queues: dict[int, dict[I, None]] = {}  # a dict is a set in order of arrival
        self._workers: dict[int, asyncio.Task[None]] = {}
        self._closing = False

    def put(self, chat: int, item: I) -> None:
        """Queue the item, unless it is queued or in work already."""
        queue = self._queues.setdefault(chat, {})
        if self._closing or item in queue:
            return
        queue[item] = None
        if chat not in self._workers:
            self._workers[chat] = asyncio.create_task(self._work_off(chat, queue))

    async def _work_off(self, chat: int, queue: dict[I, None]) -> None:
        """Work until the queue is empty, or through one item where the queues are closing.

        An item stays at the head of its queue while it is in work, so that it is not queued twice.
        """
        try:
            while queue:
                item = next(iter(queue))
                await retry(partial(self._work, item), self._clock, self._policy)
                del queue[item]
                if self._closing:
                    break
        except Stopping:
            pass
        finally:
            del self._workers[chat], self._queues[chat]

    async def close(self, seconds: float) -> None:
        """Start nothing more, let what is in work end within the time, then cancel it."""
        self._closing = True
        workers = list(self._workers.values())
        if workers:
            await asyncio.wait(workers, timeout=seconds)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
