"""Keeps house: deletes what is older than it may be, counts, and looks for damage.

What people said is not kept for ever. What fails has another chance the next time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.gateway.database import damage
from services.gateway.errors import Stopping, kind
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Keeper:
    """`path` is the store's file; `days` is for how long turns are kept."""

    def __init__(self, store: Store, path: Path, pace: Pace, metrics: Metrics, days: int) -> None:
        self._store = store
        self._path = path
        self._pace = pace
        self._metrics = metrics
        self._days = days

    async def run(self) -> None:
        """Do each in its time until the process ends; damage was looked for at the start."""
        await asyncio.gather(
            self._every(HOUR, self._prune, "old messages not deleted"),
            self._every(MINUTE, self._count, "insane chats not counted"),
            self._every(DAY, self._check, "database not checked", first=DAY),
        )

    async def _every(
        self, seconds: float, step: Callable[[], Awaitable[None]], failed: str, first: float = 0.0
    ) -> None:
        try:
            await self._pace.wait(first)
            while True:
                try:
                    await step()
                except Exception as error:  # a full disk, say
                    logger().error(failed, error=kind(error))
                await self._pace.wait(seconds)
        except Stopping:
            return

    async def _prune(self) -> None:
        await self._store.prune(self._pace.now(), self._days)

    async def _count(self) -> None:
        self._metrics.insane.set(await self._store.turns.insane())

    async def _check(self) -> None:
        found = await asyncio.to_thread(damage, self._path)
        self._metrics.intact.set(found is None)
        if found is not None:
            logger().error("database damaged: put a backup in its place", found=found)
