"""Looks after the store: deletes what is older than it may be, counts, and checks for damage."""

import asyncio
import itertools
from pathlib import Path

from services.gateway.database import is_intact
from services.gateway.errors import Stopping, kind
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

EVERY = 60.0
HOUR, DAY = 60, 24 * 60
"""Rounds of that length."""


class Keeper:
    """`days` is for how long turns are kept."""

    def __init__(
        self, store: Store, pace: Pace, metrics: Metrics, database: Path, days: int
    ) -> None:
        self._store = store
        self._pace = pace
        self._metrics = metrics
        self._database = database
        self._days = days

    async def run(self) -> None:
        """Go round every minute until the process ends."""
        try:
            for number in itertools.count():
                try:
                    await self._round(number)
                except Exception as error:  # a full disk, say: the next round is another chance
                    logger().error("store not looked after", error=kind(error))
                await self._pace.wait(EVERY)
        except Stopping:
            return

    async def _round(self, number: int) -> None:
        self._metrics.insane.set(await self._store.turns.insane())
        if number % HOUR == 0:
            await self._store.prune(self._pace.now(), self._days)
        if number % DAY == DAY - 1:
            intact = await asyncio.to_thread(is_intact, self._database)
            self._metrics.intact.set(int(intact))
            if not intact:
                logger().error("database damaged", file=str(self._database))
