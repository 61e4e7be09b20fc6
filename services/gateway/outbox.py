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
from aiogram.methods import TelegramMethod
from aiogram.types import ReplyParameters

from services.gateway.errors import kind, may_have_arrived
from services.gateway.lanes import Lanes
from services.gateway.metrics import Metrics
from services.gateway.outbox_store import OutboxStore
from services.gateway.pace import Pace
from services.gateway.store import Store
from telemetry.logs import logger

_REFUSED = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound, TelegramEntityTooLarge)
_CODES = {TelegramForbiddenError: "403", TelegramBadRequest: "400", TelegramNotFound: "404"}


AMBIGUOUS = 10
"""Attempts after which a message that may have arrived each time is given up."""


class SendRawMessage(TelegramMethod[dict[str, Any]]):
    """sendMessage without a reading of the message that comes back: only its id is wanted, and one
    that cannot be read has arrived all the same."""

    __returning__ = dict[str, Any]
    __api_method__ = "sendMessage"

    chat_id: int
    text: str
    message_thread_id: int | None
    reply_parameters: ReplyParameters | None


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
            message_id = await self._call(row)
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
            if may_have_arrived(error):
                if row.attempts + 1 >= AMBIGUOUS:
                    self._metrics.failed.labels("unknown").inc()
                    await self._rows.fail(row.id)
                    return
                self._maybe_doubled(1)
            until = self._pace.now() + self._pace.backoff(row.attempts)
            await self._rows.postpone(row.id, until)
        else:
            await self._rows.sent(row, message_id, self._bot.id, self._pace.now())
            self._metrics.sent.inc()

    async def _call(self, row: Any) -> int:
        """The id that the message got."""
        quote = ReplyParameters(message_id=row.reply_to, allow_sending_without_reply=True)
        message = await self._bot(
            SendRawMessage(
                chat_id=row.chat,
                text=row.text,
                message_thread_id=row.topic or None,
                reply_parameters=quote if row.reply_to else None,
            )
        )
        return int(message["message_id"])

    def _maybe_doubled(self, count: int) -> None:
        if count:
            self._metrics.doubled.inc(count)
            logger().warning("messages may arrive twice", count=count)
