"""Time: the clock, the pause that a stop cuts short, and how long to wait before trying again."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from services.gateway.errors import Stopping, kind
from telemetry.logs import logger

T = TypeVar("T")

Rng = Callable[[], float]


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def backoff(attempt: int, rng: Rng = random.random, first: float = 0.5, cap: float = 15.0) -> float:
    """Seconds to wait after the attempt (the first is 0): doubling, half of it drawn by chance."""
    longest = min(cap, first * 2.0 ** min(attempt, 30))
    return longest * (0.5 + 0.5 * rng())


class Pace:
    """The process's clock and its end.

    scale   of the pauses that manners and Telegram's limits ask for
    """

    def __init__(self, clock: Clock, rng: Rng = random.random, scale: float = 1.0) -> None:
        self.clock = clock
        self.rng = rng
        self.scale = scale
        self.stopping = asyncio.Event()

    def now(self) -> float:
        return self.clock.now()

    def backoff(self, attempt: int) -> float:
        return backoff(attempt, self.rng)

    async def insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step on the disk until it succeeds; raises Stopping when the process ends."""
        for attempt in itertools.count():
            try:
                return await step()
            except Stopping:
                raise
            except Exception as error:  # its text may hold what people wrote
                logger().error("disk does not do", error=kind(error))
            await self.wait(self.backoff(attempt))
        raise AssertionError("unreachable")

    async def wait(self, seconds: float) -> None:
        """Sleep; raises Stopping when the process is told to end meanwhile, or was before."""
        tasks = [
            asyncio.ensure_future(self.clock.sleep(seconds)),
            asyncio.ensure_future(self.stopping.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self.stopping.is_set():
            raise Stopping
