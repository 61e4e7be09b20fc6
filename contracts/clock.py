"""The clock that is handed to whatever tells the time or waits, so that tests need not wait."""

import asyncio
import time

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Clock:
    """The system's; those of tests are derived from it."""

    def now(self) -> float:
        """Return unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some moment, which nobody sets back or forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
