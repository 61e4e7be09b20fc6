"""Deletes what is older than it may be: what people said is not kept for ever."""

from services.gateway.errors import Stopping, kind
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

EVERY = 3600.0


class Keeper:
    """`days` is for how long turns are kept."""

    def __init__(self, store: Store, pace: Pace, days: int) -> None:
        self._store = store
        self._pace = pace
        self._days = days

    async def run(self) -> None:
        """Tidy up every hour until the process ends."""
        try:
            while True:
                await self._tidy()
                await self._pace.wait(EVERY)
        except Stopping:
            return

    async def _tidy(self) -> None:
        try:
            await self._store.prune(self._pace.now(), self._days)
        except Exception as error:  # a full disk, say: the next hour is another chance
            logger().error("old messages not deleted", error=kind(error))
