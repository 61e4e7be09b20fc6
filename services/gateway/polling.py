"""Asks Telegram for updates: they are on disk before the next call confirms them.

The loop never ends by itself but for a refused token; each turn of it is a sign of life.
"""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import TelegramMethod
from aiogram.types import User
from sqlalchemy.exc import OperationalError

from services.gateway.command_list import menus
from services.gateway.errors import TokenRefused, kind
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

LONG_POLL = 25
"""Seconds for which Telegram may keep a call that has nothing to tell."""
GRACE = 10
ALIVE = 60.0
"""Seconds within which the loop turns: a call's longest and the longest pause, and a little."""
ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
_OUTCOMES = {
    TelegramConflictError: "conflict",
    TelegramNetworkError: "network",
    TelegramRetryAfter: "limited",
    TelegramServerError: "server",
    OperationalError: "disk",
}
_WHY = {
    "conflict": "another process polls with this token: stop it, Telegram lets one alone poll",
    "limited": "telegram asks for a pause",
    "disk": "the disk does not take what came",
}

T = TypeVar("T")


class GetRawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates without a reading of the updates: one that cannot be read spoils no other."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None
    timeout: int
    allowed_updates: list[str]


class Polling:
    def __init__(
        self, bot: Bot, store: Store, pace: Pace, metrics: Metrics, arrived: Callable[[], None]
    ) -> None:
        """`arrived` is called when there are new updates in the store."""
        self._bot = bot
        self._store = store
        self._pace = pace
        self._metrics = metrics
        self._arrived = arrived
        self._turned = pace.now()
        self.last_ok = 0.0

    def alive(self) -> bool:
        """Whether the loop turned lately, successful or not."""
        return self._pace.now() - self._turned < ALIVE

    async def introduce(self) -> User:
        """Who we are; a webhook that somebody left is taken away, since it forbids polling.

        Telegram learns the commands, for private chats, groups and their administrators apart.
        """
        me = await self._insist(self._bot.get_me)
        await self._insist(self._bot.delete_webhook)
        await self._insist(self._list_commands)
        return me

    async def _list_commands(self) -> None:
        try:
            for commands, scope in menus():
                await self._bot.set_my_commands(commands, scope=scope)
        except (
            TelegramBadRequest,
            TelegramNotFound,
        ) as error:  # an older server
            logger().warning("commands not listed", error=kind(error))

    async def run(self) -> None:
        """Poll for ever; raises TokenRefused."""
        while True:
            await self._insist(self._poll)

    async def _poll(self) -> None:
        offset = await self._store.offset(self._pace.now())
        call = GetRawUpdates(offset=offset, timeout=LONG_POLL, allowed_updates=ALLOWED)
        updates = await self._bot(call, request_timeout=LONG_POLL + GRACE)
        now = self._pace.now()
        await self._store.take(updates, now)
        self._metrics.polls.labels("ok").inc()
        self._metrics.last_poll.set(now)
        self.last_ok = now
        if updates:
            self._metrics.taken.inc(len(updates))
            self._arrived()

    async def _rest(self, seconds: float) -> None:
        """A pause, however long, in which the loop shows that it lives."""
        while seconds > 0:
            self._turned = self._pace.now()
            await self._pace.wait(min(seconds, ALIVE / 2))
            seconds -= ALIVE / 2

    async def _insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat the step until it succeeds, with longer and longer pauses."""
        for attempt in itertools.count():
            self._turned = self._pace.now()
            try:
                return await step()
            except (TelegramUnauthorizedError, TelegramNotFound):
                raise TokenRefused("TELEGRAM_TOKEN: Telegram knows no such bot") from None
            except Exception as error:
                outcome = _OUTCOMES.get(type(error), "other")
                self._metrics.polls.labels(outcome).inc()
                logger().warning(
                    _WHY.get(outcome, "telegram did not answer"), outcome=outcome, error=kind(error)
                )
                asked = error.retry_after if isinstance(error, TelegramRetryAfter) else 0
                wait = max(asked, self._pace.backoff(attempt))
            await self._rest(wait)
        raise AssertionError("unreachable")
