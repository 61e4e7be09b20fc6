"""Retries: the one loop for all rooms, and the growing pause between attempts."""

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.clock import Clock

T = TypeVar("T")

RetryPolicy = Callable[[Exception, int], float | None]
"""Seconds to wait after the attempt with that number (the first is 0) failed; None gives up."""


def backoff(attempt: int, first: float = 0.5, longest: float = 15.0) -> float:
    """Return a pause that doubles with each attempt, from `first` up to `longest` seconds.

    Half of it is random, so that many who failed at once do not come back at once.
    """
    return min(longest, first * 2.0 ** min(attempt, 30)) * random.uniform(0.5, 1.0)  # noqa: S311


async def retry(step: Callable[[], Awaitable[T]], clock: Clock, policy: RetryPolicy) -> T:
    """Call `step` until it succeeds, and return its result; raises what `policy` gives up on."""
    for attempt in itertools.count():
        try:
            return await step()
        except Exception as error:
            pause = policy(error, attempt)
            if pause is None:
                raise
        await clock.sleep(pause)
    raise AssertionError("unreachable")
