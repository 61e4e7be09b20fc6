"""Handles the stored updates, a chat's one after another, until each has its answer committed."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.exceptions import TelegramNetworkError, TelegramRetryAfter, TelegramServerError
from aiogram.types import Update
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from services.gateway.answer import Answer
from services.gateway.errors import Stopping, kind
from services.gateway.lanes import Lanes
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

ATTEMPTS = 5
"""After so many an update that fails for no outside reason is given up, and counted."""
_OUTSIDE = (TelegramNetworkError, TelegramRetryAfter, TelegramServerError, DBAPIError, OSError)


class Inbox:
    def __init__(
        self, bot: Bot, dispatcher: Dispatcher, store: Store, pace: Pace, metrics: Metrics,
        answered: Callable[[], None],
    ) -> None:  # fmt: skip
        """`answered` is called whenever there may be something to send."""
        self._bot = bot
        self._dispatcher = dispatcher
        self._store = store
        self._pace = pace
        self._metrics = metrics
        self._answered = answered
        self._wake = asyncio.Event()
        self.lanes = Lanes(self._handle, pace)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Feed the lanes for ever."""
        while True:
            self._wake.clear()
            for chat, update_id in await self._pace.insist(self._store.waiting):
                self.lanes.put(chat, update_id)
            await self._wake.wait()

    async def _handle(self, update_id: int) -> None:
        """Until it has an end: what comes after it in the chat waits for its turn."""
        while (begun := await self._store.begin(update_id)) is not None:
            payload, attempt = begun
            try:
                answer = await self._answer(payload)
                given_up = await self._store.settle(update_id, answer, self._pace.now())
            except Stopping:
                raise
            except Exception as error:
                logger().warning("update failed", error=kind(error), attempt=attempt)
                if not _hopeless(error, attempt):
                    asked = error.retry_after if isinstance(error, TelegramRetryAfter) else 0
                    await self._pace.wait(max(asked, self._pace.backoff(attempt)))
                    continue
                self._metrics.failed_updates.inc()
                await self._store.settle(update_id, Answer(), self._pace.now(), "failed")
            else:
                self._metrics.failed.labels("given_up").inc(given_up)
                self._answered()

    async def _answer(self, payload: dict[str, Any]) -> Answer:
        update = Update.model_validate(payload, context={"bot": self._bot})
        result = await self._dispatcher.feed_update(self._bot, update)
        return result if isinstance(result, Answer) else Answer()


def _hopeless(error: Exception, attempt: int) -> bool:
    """An update that no release of ours can read, or that failed too often by itself."""
    if isinstance(error, ValidationError):
        return True
    return attempt >= ATTEMPTS and not isinstance(error, _OUTSIDE)
