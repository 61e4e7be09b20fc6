"""Housekeeping: deletes what is older than it may be, counts, and looks for damage.

What people said is not kept for ever. What fails has another chance the next time.

A clock that was set wrong must not delete a history. So where a message came while the process
runs, what is deleted is what is old by Telegram's date of it too. Without one the clock counts if
the newest message is from within a day of it, or once it has run for a day without a jump.
"""

import asyncio
import math
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
        self._ahead, self._steady_since = 0.0, 0.0
        self._newest, self._telegram_ahead = math.inf, -math.inf

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
        async with self._database.transaction() as db:
            newest = history.newest_date(db)
        days = self._context.config.retention_days
        if (now := self._time(newest or 0.0)) is not None:
            await self._database.work_off(lambda db: history.prune(db, now, days))

    def _time(self, newest: float) -> float | None:
        """Return the time that counts, None while nothing speaks for the clock.

        Telegram keeps a message for a day before it comes. Its date is the least that it can be.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        is_steady = self._is_clock_steady()
        if newest > self._newest:
            self._telegram_ahead = max(self._telegram_ahead, newest - monotonic)
        self._newest = newest
        if self._telegram_ahead > -math.inf:
            return min(now, self._telegram_ahead + monotonic + DAY)
        return now if is_steady or not newest or abs(now - newest) < DAY else None

    def _is_clock_steady(self) -> bool:
        """Whether it has run for a day as nobody can set it."""
        monotonic = self._clock.monotonic()
        ahead = self._clock.now() - monotonic
        if abs(ahead - self._ahead) > HOUR:
            self._ahead, self._steady_since = ahead, monotonic
        return monotonic - self._steady_since >= DAY

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
