"""Housekeeping: deletes what is older than it may be, counts, and looks for damage.

What people said is not kept for ever. What fails has another chance the next time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from contracts.clock import DAY, HOUR, MINUTE
from contracts.forget import waiting_since
from contracts.model_version import Serving
from contracts.settings import SERVING_FILE
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.context import Context
from services.gateway.store import chats, history
from services.gateway.store.database_file import find_damage
from telemetry.logs import logger

Served = Callable[[], Awaitable[pb.Model | None]]


class Housekeeping:
    """`path` is the database's file, `served` asks which version serves."""

    def __init__(self, context: Context, path: Path, served: Served) -> None:
        self._context, self._clock, self._database = context, context.clock, context.database
        self._path, self._served = path, served

    async def run(self) -> None:
        """Do each in its time, for ever. Opening the database has looked for damage already."""
        async with asyncio.TaskGroup() as group:  # ends when all have left the database
            for each in (
                self._every(HOUR, self._prune, "old messages not deleted"),
                self._every(MINUTE, self._count, "insane chats not counted"),
                self._every(MINUTE, self._look_at_version, "not noted which version serves"),
                self._every(MINUTE, self._database.shorten_log, "log not shortened"),
                self._every(HOUR, self._database.rewrite, "database not rewritten", first=HOUR),
                self._every(DAY, self._check, "database not checked", first=DAY),
            ):
                group.create_task(each)

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
        now, days = self._clock.now(), self._context.config.retention_days
        await self._database.work_off(lambda db: history.prune(db, now, days))

    async def _look_at_version(self) -> None:
        """Note which version serves, and since when somebody waits for one without them."""
        model = await self._served()
        if model is not None:
            file, now = self._context.forget_file, self._clock.now()
            since = await asyncio.to_thread(waiting_since, file, model.forgets_until)
            self._context.metrics.forget_waiting.set(since)
            note = file.with_name(SERVING_FILE)
            await asyncio.to_thread(Serving.note, note, model.version, now)

    async def _count(self) -> None:
        async with self._database.transaction(writes=True) as db:
            self._context.metrics.insane.set(chats.count_insane(db))

    async def _check(self) -> None:
        found = await asyncio.to_thread(find_damage, self._path)
        self._context.metrics.intact.set(found is None)
        if found is None:
            self._database.is_rewrite_due = True
        else:
            logger().error("database damaged: put a backup in its place", found=found)
