"""The clock that is handed to whatever tells the time or waits, so that tests need not wait."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Return unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment, which nobody sets back or forward."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
