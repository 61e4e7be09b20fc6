"""Sends what the store plans, a chat's messages one after another: planned, sending, sent.

A row that may have arrived and is sent again is counted and logged; no other is ever sent twice.
A chat that Telegram slows down (429) waits alone.
"""

import asyncio
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.types import Message, ReplyParameters

from services.gateway.errors import kind, may_have_arrived
from services.gateway.lanes import Lanes
from services.gateway.metrics import Metrics
from services.gateway.outbox_store import OutboxStore
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

_REFUSED = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound, TelegramEntityTooLarge)
_CODES = {TelegramForbiddenError: "403", TelegramBadRequest: "400", TelegramNotFound: "404"}


class Outboxes:
    """All chats' outboxes."""

    def __init__(self, bot: Bot, store: Store, pace: Pace, metrics: Metrics) -> None:
        self._bot = bot
        self._store = store
        self._rows: OutboxStore = store.outbox
        self._pace = pace
        self._metrics = metrics
        self._wake = asyncio.Event()
        self.lanes = Lanes(self._send_chat, pace)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Take up what a crash left, then feed the lanes for ever."""
        self._maybe_doubled(await self._rows.recover())
        while True:
            self._wake.clear()
            await self.feed()
            await self._wake.wait()

    async def feed(self) -> None:
        for chat in await self._rows.chats():
            self.lanes.put(chat, chat)
        self._metrics.outbox.set(await self._rows.size())

    async def _send_chat(self, chat: int) -> None:
        while (row := await self._rows.first(chat)) is not None:
            if (wait := row.not_before - self._pace.now()) > 0:
                await self._pace.wait(wait)
            await self._send(row)
        self.wake()

    async def _send(self, row: Any) -> None:
        await self._rows.sending(row.id)
        try:
            message = await self._call(row)
        except TelegramRetryAfter as error:
            self._metrics.limited.inc()
            await self._rows.postpone(row.id, self._pace.now() + error.retry_after)
        except TelegramMigrateToChat as error:
            await self._rows.postpone(row.id, 0.0)
            await self._store.migrate(row.chat, error.migrate_to_chat_id)
        except _REFUSED as error:
            self._metrics.failed.labels(_CODES.get(type(error), "413")).inc()
            logger().warning("message refused", error=kind(error))
            await self._rows.fail(row.id)
        except Exception as error:
            logger().warning("message not sent", error=kind(error), attempt=row.attempts + 1)
            self._maybe_doubled(int(may_have_arrived(error)))
            until = self._pace.now() + self._pace.backoff(row.attempts)
            await self._rows.postpone(row.id, until)
        else:
            await self._rows.sent(row, message.message_id, self._bot.id, self._pace.now())
            self._metrics.sent.inc()

    async def _call(self, row: Any) -> Message:
        quote = ReplyParameters(message_id=row.reply_to, allow_sending_without_reply=True)
        return await self._bot.send_message(
            row.chat,
            row.text,
            message_thread_id=row.topic or None,
            reply_parameters=quote if row.reply_to else None,
        )

    def _maybe_doubled(self, count: int) -> None:
        if count:
            self._metrics.doubled.inc(count)
            logger().warning("messages may arrive twice", count=count)
