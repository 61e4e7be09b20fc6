"""Sends what the outbox plans, a chat's messages one after another: planned, sending, sent.

A message that may have arrived and is sent again is counted and logged; no other goes twice.
Messages go no faster than Telegram takes them, and a chat that it slows down (429) waits alone.
How a call ended is written down however long the disk refuses: nobody else knows it.
"""

import asyncio
import json
from collections.abc import Iterable
from sqlite3 import Connection

from aiogram.exceptions import TelegramMigrateToChat, TelegramRetryAfter

from contracts.retry import backoff
from services.gateway.bot_api import REFUSED, failure_code, may_have_arrived
from services.gateway.chat_queues import ChatQueues
from services.gateway.context import Context, beside, unless
from services.gateway.decision import may_add
from services.gateway.incoming import NOWHERE
from services.gateway.reasons import ChatSettings
from services.gateway.store import chats, history, outbox
from services.gateway.store.outbox import Planned
from services.gateway.telegram import RepliedTo
from services.gateway.telegram_rate_limit import RateLimit
from services.gateway.typing_delay import LONGEST_SECONDS, show_typing, without_pings
from telemetry.logs import logger

MOST_AMBIGUOUS = 10
"""Attempts after which a message that may have arrived each time is given up."""
WORTHLESS_SECONDS = 3600.0
"""Time after which an answer that could not be sent is not worth sending any more."""


class Sender:
    """All chats' outboxes; `me` is the bot's id."""

    def __init__(self, context: Context, me: int) -> None:
        self._context = context
        self._me = me
        self._api = context.api
        self._clock = context.clock
        self._metrics = context.metrics
        self._rate_limit = RateLimit(context.delays)
        self.queues = ChatQueues[int](self._send_all, context.clock, "sending failed")
        self._news: dict[int, asyncio.Event] = {}

    async def start(self) -> None:
        """Take up what the process before left."""
        self._note_doubled(await self._context.write(outbox.recover))
        self.wake(await self._context.write(outbox.planned_chats))

    def wake(self, chats: Iterable[int]) -> None:
        """There is something to send to these chats."""
        for chat in chats:
            self.queues.put(chat, chat)
            if chat in self._news:
                self._news[chat].set()

    def look_again(self) -> None:
        """What is being typed may have been dropped."""
        self.wake(list(self._news))

    async def _send_all(self, chat: int) -> None:
        """Send until nothing is planned for the chat."""
        while (row := await self._claim(chat)) is not None:
            await self._send(row)

    async def _claim(self, chat: int) -> Planned | None:
        """Wait until the chat's next message is due and Telegram takes it; mark it as being sent.

        Returns None where nothing is planned.
        """
        news = self._news[chat] = asyncio.Event()
        try:
            while True:
                news.clear()
                row, wait, unwanted = await self._look(chat)
                if row is None or not (wait or unwanted):
                    return row
                if unwanted:
                    await self._fail(row, unwanted)
                    continue
                is_typed = row.spoken and wait <= LONGEST_SECONDS  # a person would be typing
                where = row.chat, row.topic, row.extra
                typing = [show_typing(self._api, where, self._clock)] if is_typed else []
                async with beside(*typing):
                    await unless(news, self._clock.sleep(wait))
                # and then look again: much may have happened
        finally:
            del self._news[chat]

    async def _look(self, chat: int) -> tuple[Planned | None, float, str | None]:
        """Return the next message, the seconds until it may go, and why it is not to go any more.

        One that may go is marked as being sent.
        """
        async with self._context.database.transaction(flush=True) as db:
            row = outbox.next_planned(db, chat)
            if row is None or (wait := self._seconds_left(row)):
                return row, 0.0 if row is None else wait, None
            if unwanted := self._why_unwanted(db, row):
                return row, 0.0, unwanted
            self._rate_limit.take_slot(chat, self._clock.monotonic())
            outbox.mark_sending(db, row)
            return row, 0.0, None

    def _seconds_left(self, row: Planned) -> float:
        now, time = self._clock.now(), self._clock.monotonic()
        limit = self._rate_limit.next_slot(row.chat, time) - time
        # a clock that was set back would have it wait as long again
        return max(limit, 0.0 if now < row.planned_at else row.not_before - now)

    def _why_unwanted(self, db: Connection, row: Planned) -> str | None:
        """Why a message is not to be sent any more."""
        now = self._clock.now()
        if now - row.planned_at > WORTHLESS_SECONDS:
            return "stale"
        if not row.is_talk:
            return None
        if chats.is_denied(db, row.chat, row.text):
            return "denied"
        if chats.is_opted_out(db):
            return "opted_out"
        settings = chats.settings(db, row.chat, row.topic) or ChatSettings()
        if now < settings.muted_until:
            return "muted"
        if row.to_bot:
            bots, others = history.bots_in_a_row(db, row.chat, row.topic)
            return None if may_add(bots, others, self._context.config.bot_depth) else "bot_depth"
        return None

    async def _send(self, row: Planned) -> None:
        """Make the call and write down how it ended."""
        try:
            message_id = await self._call(row)
        except TelegramRetryAfter as error:
            self._metrics.limited.inc()
            await self._postpone(row, error.retry_after)
        except TelegramMigrateToChat as error:
            await self._postpone(row, 0.0)
            await self.migrate(row.chat, error.migrate_to_chat_id)
        except REFUSED as error:
            logger().warning("message refused", error=error)
            await self._fail(row, failure_code(error))
        except Exception as error:
            await self._try_again(row, error)
        else:
            await self._note_sent(row, message_id)

    async def _call(self, row: Planned) -> int:
        """Return the id that the message got, or one below zero."""
        quoted = {"message_id": row.quoted, "allow_sending_without_reply": True}
        may_ping = self._context.config.allow_pings or not row.spoken
        place = {
            "message_thread_id": row.topic or None,
            "reply_parameters": quoted if row.quoted else None,
            **json.loads(row.extra),
        }
        text = row.text if may_ping else without_pings(row.text)
        try:
            message = await self._api.call("sendMessage", chat_id=row.chat, text=text, **place)
        finally:
            self._rate_limit.move_slot(row.chat, self._clock.monotonic())
        told = RepliedTo.model_validate(message if isinstance(message, dict) else {})
        return told.message_id or 2 * NOWHERE - row.id  # it was sent, whatever the answer says

    async def _note_sent(self, row: Planned, message_id: int) -> None:
        now = self._clock.now()

        def write(db: Connection) -> None:
            if row.spoken and outbox.is_spoken(db, row):
                history.add_spoken(db, row, message_id, self._me, now)
            outbox.mark_sent(db, row, message_id)

        await self._context.write(write)
        self._metrics.sent.inc()
        where = {"chat_id": row.chat, "message_id": message_id}
        await self._context.explanations.tell(row.update_id, **where)
        if row.spoken and row.part == 0 and row.taken_at is not None:
            self._metrics.reply.observe(max(0.0, now - row.taken_at))

    async def _fail(self, row: Planned, code: str) -> None:
        await self._context.write(lambda db: outbox.mark_failed(db, row))
        self._metrics.failed.labels(code).inc()

    async def _postpone(self, row: Planned, seconds: float) -> None:
        now = self._clock.now()
        await self._context.write(lambda db: outbox.postpone(db, row, now, seconds))

    async def migrate(self, old: int, new: int) -> None:
        """A group became a supergroup: its history and its messages go there."""
        await self._context.database.work_off(lambda db: chats.migrate(db, old, new))
        self.wake([new])

    async def _try_again(self, row: Planned, error: Exception) -> None:
        attempt = row.attempts + 1
        logger().warning("message not sent", error=error, attempt=attempt)
        if may_have_arrived(error):
            if attempt >= MOST_AMBIGUOUS:
                await self._fail(row, "unknown")
                return
            self._note_doubled(1)
        await self._postpone(row, backoff(row.attempts))

    def _note_doubled(self, count: int) -> None:
        if count:
            self._metrics.doubled.inc(count)
            logger().warning("messages may arrive twice", count=count)
