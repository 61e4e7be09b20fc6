"""Housekeeping: deletes what is older than it may be, counts, and looks for damage.

What people said is not kept for ever. What fails has another chance the next time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.gateway.context import Context
from services.gateway.store import chats, history
from services.gateway.store.database import find_damage
from telemetry.logs import logger

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Housekeeping:
    """`path` is the database's file."""

    def __init__(self, context: Context, path: Path) -> None:
        self._clock, self._database = context.clock, context.database
        self._metrics, self._days = context.metrics, context.config.retention_days
        self._path = path

    async def run(self) -> None:
        """Do each in its time, for ever. Opening the database has looked for damage already."""
        await asyncio.gather(
            self._every(HOUR, self._prune, "old messages not deleted"),
            self._every(MINUTE, self._count, "insane chats not counted"),
            self._every(DAY, self._check, "database not checked", first=DAY),
        )

    async def _every(
        self, seconds: float, step: Callable[[], Awaitable[None]], failed: str, first: float = 0.0
    ) -> None:
        await self._clock.sleep(first)
        while True:
            try:
                await step()
            except Exception as error:  # a full disk, say
                logger().error(failed, error=error)
            await self._clock.sleep(seconds)

    async def _prune(self) -> None:
        async with self._database.transaction() as db:
            history.prune(db, self._clock.now(), self._days)

    async def _count(self) -> None:
        async with self._database.transaction() as db:
            self._metrics.insane.set(chats.count_insane(db))

    async def _check(self) -> None:
        found = await asyncio.to_thread(find_damage, self._path)
        self._metrics.intact.set(found is None)
        if found is not None:
            logger().error("database damaged: put a backup in its place", found=found)
