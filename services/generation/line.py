"""The line before the engine: bounded, round robin over chats, and frank about being late.

QueueFull     as many requests are waiting or under way as may be, or half of them of one chat
WouldBeLate   the request's deadline would pass while it waits for a place, or soon after

Both carry `retry_after` in seconds.
"""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

SOONEST, LATEST = 0.1, 30.0
"""Bounds of the time after which a refused request may come again."""
_MEMORY = 0.1
"""Weight of the newest observation in the mean of what a place is held for."""
_OWN = 0.5
"""Part of that mean that a request which has to wait needs at least for itself."""

Key = tuple[str, str]
"""Bot and chat."""


class QueueFull(Exception):
    def __init__(self, retry_after: float, of_chat: bool = False) -> None:
        self.retry_after = retry_after
        whose = "as many requests of this chat" if of_chat else "as many requests"
        super().__init__(f"{whose} as may be are waiting or under way")


class WouldBeLate(Exception):
    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__("the deadline would pass in the queue or soon after")


def spread(seconds: float) -> float:
    """Within bounds, and up to half as much again, so that not all come back at once."""
    return min(max(seconds, SOONEST), LATEST) * random.uniform(1.0, 1.5)


@dataclass(eq=False)
class _Waiting:
    places: int
    turn: "asyncio.Future[None]"


class Line:
    """Lends the engine's `places`, one a candidate, to at most `most` requests at a time."""

    def __init__(self, places: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._most = most
        self._clock = clock
        self._free = places
        self._running = 0
        self._waiting: dict[Key, deque[_Waiting]] = {}
        self._held_seconds = 0.0
        self._answered = 0

    @property
    def waiting(self) -> int:
        """Requests that have no place yet."""
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """Requests that the engine works on."""
        return self._running

    @asynccontextmanager
    async def place(
        self, key: Key, candidates: int, seconds_left: float | None
    ) -> AsyncIterator[None]:
        """Hold as many places as candidates inside the block; raises QueueFull, WouldBeLate.

        No chat may have half of the line waiting; requests that name no chat are of many.
        Cancelling a request that waits takes it out of the line.
        """
        places = min(candidates, self._places)
        wait = self._expected_wait(key, places)
        if self.waiting + self._running >= self._most:
            raise QueueFull(spread(wait))
        if key[1] and len(self._waiting.get(key, ())) >= max(1, self._most // 2):
            raise QueueFull(spread(wait), of_chat=True)
        needed = wait + _OWN * self._held_seconds
        if seconds_left is not None and wait > 0 and needed >= seconds_left:
            raise WouldBeLate(spread(needed - seconds_left))
        await self._turn(key, places)
        since, answered = self._clock(), False
        try:
            yield
            answered = True
        finally:
            self._learn(self._clock() - since, answered)
            self._leave(places)

    def _learn(self, held: float, answered: bool) -> None:
        """Of one that was not answered is known that it would have taken longer."""
        self._answered += answered
        if answered or held > self._held_seconds:
            weight = max(_MEMORY, 1 / max(1, self._answered))
            self._held_seconds += weight * (held - self._held_seconds)

    def _expected_wait(self, key: Key, places: int) -> float:
        """Seconds until `places` are free for one who comes now, by what places were held for.

        Of other chats only those are before it whose turn comes as early as its own.
        """
        rounds = len(self._waiting.get(key, ())) + 1
        before = sum(
            each.places
            for chat in self._waiting.values()
            for each in itertools.islice(chat, rounds)
        )
        missing = before + places - self._free
        return self._held_seconds * max(0, missing) / self._places

    async def _turn(self, key: Key, places: int) -> None:
        mine = _Waiting(places, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(key, deque()).append(mine)
        self._call_up()
        try:
            await mine.turn
        except asyncio.CancelledError:
            if mine.turn.cancelled():
                self._forget(key, mine)
            else:  # it was called up in the same moment
                self._leave(places)
            raise

    def _forget(self, key: Key, gone: _Waiting) -> None:
        chat = self._waiting.get(key)
        if chat and gone in chat:
            chat.remove(gone)
            if not chat:
                del self._waiting[key]
        self._call_up()

    def _call_up(self) -> None:
        """Give free places away: the next chat's oldest request, and that chat goes to the end."""
        while self._waiting:
            key, chat = next(iter(self._waiting.items()))
            first = chat[0]
            gone = first.turn.cancelled()
            if not gone and first.places > self._free:
                return
            chat.popleft()
            del self._waiting[key]
            if chat:
                self._waiting[key] = chat
            if not gone:
                self._free -= first.places
                self._running += 1
                first.turn.set_result(None)

    def _leave(self, places: int) -> None:
        self._free += places
        self._running -= 1
        self._call_up()
