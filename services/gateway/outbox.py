"""Sends what the store plans, a chat's messages one after another: planned, sending, sent.

A row that may have arrived and is sent again is counted and logged; no other is ever sent twice.
Messages go no faster than Telegram takes them, and a chat that it slows down (429) waits alone.
How a call ended is written down however long the disk refuses: nobody else knows it.
"""

import asyncio
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.methods import TelegramMethod
from aiogram.types import InlineKeyboardMarkup, ReplyParameters

from services.gateway.changes import migrated
from services.gateway.config import GatewayConfig
from services.gateway.errors import kind, may_have_arrived
from services.gateway.flood import Flood
from services.gateway.indicator import typing
from services.gateway.lanes import Lanes
from services.gateway.metrics import Metrics
from services.gateway.outbox_store import Moment, OutboxStore
from services.gateway.pace import Pace
from services.gateway.policy import may_add
from services.gateway.rhythm import LONGEST, unpinged
from services.gateway.store import Store
from telemetry.logs import logger

_REFUSED = (TelegramForbiddenError, TelegramBadRequest, TelegramNotFound, TelegramEntityTooLarge)
_CODES = {TelegramForbiddenError: "403", TelegramBadRequest: "400", TelegramNotFound: "404"}

AMBIGUOUS = 10
"""Attempts after which a message that may have arrived each time is given up."""
STALE = 3600.0
"""Seconds after which an answer that could not be sent is not worth sending any more."""


class SendRawMessage(TelegramMethod[dict[str, Any]]):
    """sendMessage without a reading of the message that comes back: only its id is wanted, and one
    that cannot be read has arrived all the same."""

    __returning__ = dict[str, Any]
    __api_method__ = "sendMessage"

    chat_id: int
    text: str
    message_thread_id: int | None
    reply_parameters: ReplyParameters | None
    reply_markup: InlineKeyboardMarkup | None


class Outboxes:
    """All chats' outboxes."""

    def __init__(
        self, bot: Bot, store: Store, config: GatewayConfig, pace: Pace, metrics: Metrics
    ) -> None:
        self._bot = bot
        self._store = store
        self._config = config
        self._rows: OutboxStore = store.outbox
        self._pace = pace
        self._metrics = metrics
        self._flood = Flood(pace.scale)
        self._wake = asyncio.Event()
        self.lanes = Lanes(self._send_chat, pace)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Take up what a crash left, then feed the lanes for ever."""
        self._maybe_doubled(await self._pace.insist(self._rows.recover))
        while True:
            self._wake.clear()
            await self._pace.insist(self.feed)
            await self._wake.wait()

    async def feed(self) -> None:
        chats, count = await self._rows.chats()
        self._metrics.outbox.set(count)
        for chat in chats:
            self.lanes.put(chat, chat)

    async def _send_chat(self, chat: int) -> None:
        while (row := await self._rows.first(chat)) is not None:
            if (wait := self._wait_of(row)) > 0:
                await self._wait(row, wait)  # and then look again: much may have happened
            else:
                left_at = self._pace.now()
                self._flood.sent(row.chat, left_at)  # at once, or others take the place
                called = False
                try:
                    called = await self._send(row, left_at)
                finally:
                    if not called:
                        self._flood.taken_back(row.chat, left_at)

    def _wait_of(self, row: Any) -> float:
        """Seconds until the row is due and Telegram takes it."""
        now = self._pace.now()
        set_back = now < row.planned_at  # the clock was, and would have it wait as long again
        not_before = now if set_back else row.not_before
        return float(max(not_before, self._flood.due(row.chat, now)) - now)

    async def _wait(self, row: Any, seconds: float) -> None:
        """A person would be typing meanwhile."""
        if row.spoken and seconds <= LONGEST:
            async with typing(self._bot, row.chat, row.topic, self._pace.clock):
                await self._pace.wait(seconds)
        else:
            await self._pace.wait(seconds)

    async def _send(self, row: Any, left_at: float) -> bool:
        """Whether Telegram was called."""
        moment = await self._rows.sending(row)
        if moment is None:
            return False
        if code := self._unwanted(row, moment):
            await self._fail(row, code)
            return False
        try:
            quote = moment.answered or not row.spoken
            try:
                message_id = await self._call(row, quote)
            finally:
                self._flood.answered(row.chat, left_at, self._pace.now())
        except TelegramRetryAfter as error:
            self._metrics.limited.inc()
            await self._postpone(row, error.retry_after)
        except TelegramMigrateToChat as error:
            moved = migrated(row.chat, error.migrate_to_chat_id)
            await self._postpone(row, 0.0)
            await self._pace.insist(lambda: self._store.commit(moved))
            self.wake()
        except _REFUSED as error:
            logger().warning("message refused", error=kind(error))
            await self._fail(row, _code(error))
        except Exception as error:
            await self._not_sent(row, error)
        else:
            now = self._pace.now()
            await self._pace.insist(lambda: self._rows.sent(row, message_id, self._bot.id, now))
            self._metrics.sent.inc()
            self._metrics.outbox.dec()
            if row.spoken and row.part == 0 and moment.taken_at is not None:
                self._metrics.reply.observe(max(0.0, now - moment.taken_at))
        return True

    def _unwanted(self, row: Any, moment: Moment) -> str | None:
        """Why the message is not to be sent any more."""
        if row.planned_at and self._pace.now() - row.planned_at > STALE:
            return "stale"
        if moment.denied:
            return "denied"
        if moment.opted_out:
            return "opted_out"
        if self._pace.now() < moment.muted_until:
            return "muted"
        depth = self._config.bot_depth
        if row.to_bot and not may_add(moment.bots, moment.other_bots, depth):
            return "bot_depth"
        return None

    async def _fail(self, row: Any, code: str) -> None:
        self._metrics.failed.labels(code).inc()
        self._metrics.outbox.dec()
        await self._pace.insist(lambda: self._rows.fail(row.id))

    async def _postpone(self, row: Any, seconds: float) -> None:
        now = self._pace.now()
        await self._pace.insist(lambda: self._rows.postpone(row.id, now, seconds))

    async def _not_sent(self, row: Any, error: Exception) -> None:
        logger().warning("message not sent", error=kind(error), attempt=row.attempts + 1)
        if may_have_arrived(error):
            if row.attempts + 1 >= AMBIGUOUS:
                await self._fail(row, "unknown")
                return
            self._maybe_doubled(1)
        await self._postpone(row, self._pace.backoff(row.attempts))

    async def _call(self, row: Any, quote: bool) -> int:
        """The id that the message got."""
        quoted = ReplyParameters(message_id=row.reply_to, allow_sending_without_reply=True)
        pings = self._config.allow_pings or not row.spoken
        keyboard = InlineKeyboardMarkup.model_validate_json(row.markup) if row.markup else None
        message = await self._bot(
            SendRawMessage(
                chat_id=row.chat,
                text=row.text if pings else unpinged(row.text),
                message_thread_id=row.topic or None,
                reply_parameters=quoted if row.reply_to and quote else None,
                reply_markup=keyboard,
            )
        )
        return int(message["message_id"])

    def _maybe_doubled(self, count: int) -> None:
        if count:
            self._metrics.doubled.inc(count)
            logger().warning("messages may arrive twice", count=count)


def _code(error: TelegramAPIError) -> str:
    """A topic that was deleted is told apart: the chat is well."""
    if isinstance(error, TelegramBadRequest) and "thread not found" in error.message:
        return "topic"
    return _CODES.get(type(error), "413")
