"""Work in lanes: one thing after another within a chat, chats side by side."""

import asyncio
from collections.abc import Awaitable, Callable

from services.gateway.errors import Stopping, kind
from services.gateway.pace import Pace
from telemetry.logs import logger

PAUSE = 4
"""The pause after an unexpected failure is that after so many attempts."""

Work = Callable[[int], Awaitable[None]]


class Lanes:
    """`put` queues an item in the lane of its key, unless it is there already."""

    def __init__(self, work: Work, pace: Pace) -> None:
        self._work = work
        self._pace = pace
        self._queues: dict[int, dict[int, None]] = {}  # in the order in which they were put
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._closing = False

    def put(self, key: int, item: int) -> None:
        queue = self._queues.setdefault(key, {})
        if self._closing or item in queue:
            return
        queue[item] = None
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run(key, queue))

    async def _run(self, key: int, queue: dict[int, None]) -> None:
        """Work the queue off; what is in work stays at its head, so that it is not put again."""
        try:
            while queue:  # what was put before the end came is begun
                item = next(iter(queue))
                if await self._done(item):
                    del queue[item]
                if self._closing:
                    break
        except Stopping:
            return
        finally:
            del self._tasks[key], self._queues[key]

    async def _done(self, item: int) -> bool:
        """False after a failure that the work did not expect, a full disk say: it is repeated."""
        try:
            await self._work(item)
        except Stopping:
            raise
        except Exception as error:  # its text may hold what people wrote
            logger().error("work failed", error=kind(error))
            await self._pace.wait(self._pace.backoff(PAUSE))
            return False
        return True

    async def close(self, seconds: float) -> None:
        """Start nothing more, let what is in work end within the time, then cancel it."""
        self._closing = True
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
