"""What all parts of one bot's gateway share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

from aiogram.exceptions import TelegramRetryAfter

from contracts.clock import Clock
from contracts.conversation import Conversation
from contracts.retry import retry
from services.gateway.bot_api import REFUSED, BotApi
from services.gateway.bot_config import GatewayConfig
from services.gateway.errors import Stopping, keep_trying
from services.gateway.explanations import Explanations
from services.gateway.metrics import Metrics
from services.gateway.store.database import Database
from services.gateway.telegram import RepliedTo

T = TypeVar("T")
_DISK_REFUSES = keep_trying("disk refuses")
ATTEMPT_SECONDS = 2
"""For one of two attempts, with a short pause between them: nobody waits for ten seconds."""
LONGEST_PAUSE = 3.0


async def unless(event: asyncio.Event, work: Awaitable[T]) -> T | None:
    """Return the work's result, or None where the event comes first: then it is cancelled."""
    working = asyncio.ensure_future(work)
    coming = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([working, coming], return_when=asyncio.FIRST_COMPLETED)
        if working.cancelled():
            raise Stopping
        return working.result() if working.done() else None
    finally:
        for task in (working, coming):
            task.cancel()
        await asyncio.gather(working, coming, return_exceptions=True)


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do the work while the block runs, and no longer; that it fails is in nobody's way."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class StoppingClock(Clock):
    """A clock like the one it wraps, until `stop`: then every sleep raises Stopping at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stopped = asyncio.Event()

    def now(self) -> float:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    async def sleep(self, seconds: float) -> None:
        await unless(self._stopped, self._clock.sleep(seconds))
        if self._stopped.is_set():
            raise Stopping


@dataclass(frozen=True)
class Context:
    """
    bot           the bot's name, that of its file
    delays        scale of the pauses that manners and Telegram's limits ask for; 0 is none
    rules         of what belongs together in a conversation
    explanations  of what is answered and what is not
    forget_file   the list of people who asked to be forgotten
    forgotten     their ids, and when they asked last
    unsure        chats of which Telegram did not say who administrates, and until when it is not
                  asked again
    """

    bot: str
    config: GatewayConfig
    api: BotApi
    database: Database
    clock: StoppingClock
    delays: float
    metrics: Metrics
    forget_file: Path
    rules: Conversation
    explanations: Explanations
    forgotten: dict[int, float] = field(default_factory=dict)
    unsure: dict[int, float] = field(default_factory=dict)

    def may_keep(self, said: RepliedTo, chat: int, me: int) -> bool:
        """Whether words that somebody else quotes, said in that chat, may be kept."""
        if said.at <= self.forgotten.get(said.sender, -1.0):
            return False
        is_served = self.config.serves(said.sender, chat)
        return is_served or said.is_automatic_forward or said.user.id == me

    async def try_call(self, method: str, **parameters: Any) -> Any:
        """Call Telegram for somebody who waits: twice at most. Raises AiogramError."""
        call = partial(self.api.call, method, ATTEMPT_SECONDS, **parameters)
        return await retry(call, self.clock, _once_more)

    async def write(self, step: Callable[[Connection], T]) -> T:
        """Run the step in a transaction, however long the disk refuses it."""

        async def attempt() -> T:
            async with self.database.transaction() as db:
                return step(db)

        return await retry(attempt, self.clock, _DISK_REFUSES)


def _once_more(error: Exception, attempt: int) -> float | None:
    pause = error.retry_after if isinstance(error, TelegramRetryAfter) else 0.5
    return None if attempt or isinstance(error, REFUSED) or pause > LONGEST_PAUSE else pause
