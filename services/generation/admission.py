"""The admission queue before the engine: bounded, round robin among chats, aware of deadlines.

A request is rejected with RESOURCE_EXHAUSTED and a time to come back

QUEUE_FULL     when too many requests wait or run, or half of them wait and are of its chat
WOULD_BE_LATE  when its deadline would pass while it waits, or soon after
"""

import asyncio
import random
from bisect import insort
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from contracts.clock import Clock
from services.generation.errors import Rejection

SHORTEST_RETRY, LONGEST_RETRY = 0.1, 30.0
"""Bounds, in seconds, of the time after which a rejected request may come again."""
_NEWEST_WEIGHT = 0.1
"""Weight of the newest request in the mean time that slots are held."""
_OWN_SHARE = 0.5
"""Share of that mean that a request which has to wait needs at least for itself."""

ChatKey = tuple[str, str]
"""Bot and chat."""


@dataclass(eq=False)
class _Waiter:
    key: ChatKey
    round: int
    slots: int
    admitted: "asyncio.Future[None]"


class AdmissionQueue:
    """Lends the engine's `slots`, one a candidate; holds at most `max_requests` in all.

    Requests are admitted in rounds, in each the oldest request of each chat that waits.
    """

    def __init__(self, slots: int, max_requests: int, clock: Clock) -> None:
        self._slots = slots
        self._max_requests = max_requests
        self._clock = clock
        self._free = slots
        self.running = 0  # requests that hold slots
        self._waiting: list[_Waiter] = []  # in the order of admission
        self._round = 0  # of the request that was admitted last
        self._mean_held = 0.0
        self._answered = 0

    @property
    def waiting(self) -> int:
        """Number of requests that hold no slot yet."""
        return len(self._waiting)

    @asynccontextmanager
    async def admit(
        self, key: ChatKey, candidates: int, seconds_left: float | None
    ) -> AsyncIterator[None]:
        """Wait for a slot a candidate and hold them inside the block; raises Rejection."""
        slots = min(candidates, self._slots)
        self._check_room(key, slots, seconds_left)
        await self._wait(key, slots)
        since, answered = self._clock.monotonic(), False
        try:
            yield
            answered = True
        finally:
            self._learn(self._clock.monotonic() - since, answered)
            self._release(slots)

    def _check_room(self, key: ChatKey, slots: int, seconds_left: float | None) -> None:
        """Raise Rejection where there is no room, or where the answer would come too late.

        A chat may have half of the queue at most; requests that name no chat are of many chats.
        """
        wait = self._expected_wait(key, slots)
        if self.waiting + self.running >= self._max_requests:
            raise _overloaded("QUEUE_FULL", "too many requests are waiting or running", wait)
        if key[1] and len(self._waiting_of(key)) >= max(1, self._max_requests // 2):
            raise _overloaded("QUEUE_FULL", "too many requests of this chat are waiting", wait)
        needed = wait + _OWN_SHARE * self._mean_held
        if seconds_left is not None and wait > 0 and needed >= seconds_left:
            text = "the deadline would pass in the queue or soon after"
            raise _overloaded("WOULD_BE_LATE", text, needed - seconds_left)

    def _learn(self, held: float, answered: bool) -> None:
        """Update the mean; of a request that got no answer only a lower bound is known."""
        self._answered += answered
        if answered or held > self._mean_held:
            weight = max(_NEWEST_WEIGHT, 1 / max(1, self._answered))
            self._mean_held += weight * (held - self._mean_held)

    def _waiting_of(self, key: ChatKey) -> list[_Waiter]:
        return [waiter for waiter in self._waiting if waiter.key == key]

    def _next_round(self, key: ChatKey) -> int:
        """Return the round after the current one and after those of the chat's other requests."""
        return 1 + max([self._round, *(waiter.round for waiter in self._waiting_of(key))])

    def _expected_wait(self, key: ChatKey, slots: int) -> float:
        """Return in how many seconds a request that comes now gets its slots, by the mean."""
        round_ = self._next_round(key)
        ahead = sum(waiter.slots for waiter in self._waiting if waiter.round <= round_)
        missing = ahead + slots - self._free
        return self._mean_held * max(0, missing) / self._slots

    async def _wait(self, key: ChatKey, slots: int) -> None:
        admitted = asyncio.get_running_loop().create_future()
        waiter = _Waiter(key, self._next_round(key), slots, admitted)
        insort(self._waiting, waiter, key=lambda waiter: waiter.round)
        self._admit_next()
        try:
            await admitted
        except asyncio.CancelledError:
            if not admitted.cancelled():  # it was admitted in the same moment
                self._release(slots)
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
                self._admit_next()
            raise

    def _admit_next(self) -> None:
        """Admit those who are next while there are free slots.

        A request for several slots that are not free yet holds up those behind it: it would wait
        for ever if smaller ones passed.
        """
        while self._waiting and self._waiting[0].slots <= self._free:
            waiter = self._waiting.pop(0)
            if not waiter.admitted.cancelled():
                self._round = waiter.round
                self._free -= waiter.slots
                self.running += 1
                waiter.admitted.set_result(None)

    def _release(self, slots: int) -> None:
        self._free += slots
        self.running -= 1
        self._admit_next()


def _overloaded(reason: str, text: str, seconds: float) -> Rejection:
    """Make the rejection; up to half of the delay is random, so that not all come back at once."""
    later = min(max(seconds, SHORTEST_RETRY), LONGEST_RETRY) * random.uniform(1.0, 1.5)
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    return Rejection(code, text, reason=reason, retry_after=later)
