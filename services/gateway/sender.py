"""Sends what the outbox plans, a chat's messages one after another: planned, sending, sent.

A message that may have arrived and is sent again is counted and logged; no other goes twice.
Messages go no faster than Telegram takes them, and a chat that it slows down (429) waits alone.
Calls that say nothing, such as letting a button stop waiting, do not stand behind messages. How a
call ended is written down however long the disk refuses: nobody else knows it.
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
from services.gateway.store.outbox import Planned, Queue
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
        self.queues = ChatQueues[Queue, Queue](self._send_all, context.clock, "sending failed")
        self._news: dict[Queue, asyncio.Event] = {}

    async def start(self) -> None:
        """Take up what the process before left."""
        self._note_doubled(await self._context.write(outbox.recover))
        self.wake(await self._context.write(outbox.planned_queues))

    def wake(self, queues: Iterable[Queue]) -> None:
        """There is something to send in these queues."""
        for queue in queues:
            self.queues.put(queue, queue)
            if queue in self._news:
                self._news[queue].set()

    def look_again(self) -> None:
        """What is being typed may have been dropped."""
        self.wake(list(self._news))

    def wake_all(self, chat: int) -> None:
        self.wake([(chat, True), (chat, False)])

    async def _send_all(self, queue: Queue) -> None:
        """Send until nothing is planned in the queue."""
        while (row := await self._claim(queue)) is not None:
            await self._send(row)

    async def _claim(self, queue: Queue) -> Planned | None:
        """Wait until the queue's next call is due and Telegram takes it; mark it as being sent.

        Returns None where nothing is planned.
        """
        news = self._news[queue] = asyncio.Event()
        try:
            while True:
                news.clear()
                row, wait, unwanted = await self._look(queue)
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
            del self._news[queue]

    async def _look(self, queue: Queue) -> tuple[Planned | None, float, str | None]:
        """Return the next call, the seconds until it may go, and why it is not to go any more.

        A call that may go is marked as being sent.
        """
        async with self._context.database.transaction(flush=True) as db:
            row = outbox.next_planned(db, *queue)
            if row is None or (wait := self._seconds_left(row)):
                return row, 0.0 if row is None else wait, None
            if unwanted := self._why_unwanted(db, row):
                return row, 0.0, unwanted
            if row.is_message:  # at once, or others take the same slot
                self._rate_limit.take_slot(row.chat, self._clock.monotonic())
            outbox.mark_sending(db, row)
            return row, 0.0, None

    def _seconds_left(self, row: Planned) -> float:
        now, time = self._clock.now(), self._clock.monotonic()
        limit = self._rate_limit.next_slot(row.chat, time) - time if row.is_message else 0.0
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
            await self._migrate(row, error.migrate_to_chat_id)
        except REFUSED as error:
            if row.method == "deleteMessage" and "to delete not found" in error.message:
                await self._note_sent(row, 0)  # it is gone
            else:
                logger().warning("call refused", method=row.method, error=error)
                await self._fail(row, failure_code(error))
        except Exception as error:
            await self._try_again(row, error)
        else:
            await self._note_sent(row, message_id)

    async def _call(self, row: Planned) -> int:
        """Return the id that the message got, or one below zero; 0 for another call."""
        if not row.is_message:
            await self._api.call(row.method, **json.loads(row.extra))
            return 0
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

        def write(db: Connection) -> list[Queue]:
            if row.spoken and outbox.is_spoken(db, row):
                history.add_spoken(db, row, message_id, self._me, now)
            return outbox.mark_sent(db, row, message_id, now)

        self.wake(await self._context.write(write))
        if row.is_message:
            self._metrics.sent.inc()
            where = {"chat_id": row.chat, "message_id": message_id}
            await self._context.explanations.tell(row.update_id, **where)
        if row.spoken and row.part == 0 and row.taken_at is not None:
            self._metrics.reply.observe(max(0.0, now - row.taken_at))

    async def _fail(self, row: Planned, code: str) -> None:
        now = self._clock.now()
        self.wake(await self._context.write(lambda db: outbox.mark_failed(db, row, now)))
        if row.is_message:
            self._metrics.failed.labels(code).inc()

    async def _postpone(self, row: Planned, seconds: float) -> None:
        now = self._clock.now()
        self.wake(await self._context.write(lambda db: outbox.postpone(db, row, now, seconds)))

    async def _migrate(self, row: Planned, new: int) -> None:
        """The group became a supergroup: messages go there, other calls name what is not there."""
        if row.is_message:
            await self._postpone(row, 0.0)
        else:
            await self._fail(row, "400")
        await self._context.work_off(lambda db: chats.migrate(db, row.chat, new))
        self.wake_all(new)

    async def _try_again(self, row: Planned, error: Exception) -> None:
        attempt = row.attempts + 1
        logger().warning("message not sent", method=row.method, error=error, attempt=attempt)
        if may_have_arrived(error):
            if attempt >= MOST_AMBIGUOUS:
                await self._fail(row, "unknown")
                return
            self._note_doubled(int(row.is_message))
        await self._postpone(row, backoff(row.attempts))

    def _note_doubled(self, count: int) -> None:
        if count:
            self._metrics.doubled.inc(count)
            logger().warning("messages may arrive twice", count=count)
