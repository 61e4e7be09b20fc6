"""From an update to its answer: begin → decide → read history → ask → plan, all in this file.

`polling` receives updates, `update_queues` orders them; `sender` sends what is planned here.
Of each update one answer is committed, which is never made again; each transaction may be the last
before a crash.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from sqlite3 import Connection
from typing import Any

from aiogram.exceptions import AiogramError

from services.gateway.answer import Answer, Outgoing, Silence, Write, answer_to
from services.gateway.ask_generation import Generation
from services.gateway.bot_api import PASSING
from services.gateway.button_presses import answer_button
from services.gateway.command_handlers import Order
from services.gateway.command_table import run_command
from services.gateway.context import Context, beside, unless
from services.gateway.decision import continues, decide
from services.gateway.greeting import greet
from services.gateway.history_turns import HISTORY_MESSAGES, chat_key, compose_turns
from services.gateway.incoming import ButtonPress, Identity, Membership, Message, Unreadable
from services.gateway.polling import Polling
from services.gateway.reasons import BURST_GAP, NOT_TALK, SPEAKS, UNASKED, ChatSettings, Reason
from services.gateway.sender import Sender
from services.gateway.store import chats, history, inbox, outbox
from services.gateway.store.database import is_fault
from services.gateway.typing_delay import show_typing, typing_delays
from services.generation.client import GenerationError
from telemetry.logs import logger

MOST_FAILURES = 5
"""Failures of our own after which an update is given up, and counted."""
MOST_CRASHES = 3
"""Attempts that the process did not survive, after which an update is given up as well."""
LONGEST_BURST = 15.0
"""Seconds after which somebody who never stops writing is answered."""


class Flow:
    """What one bot does with updates; `me` is who it is at Telegram.

    `_bursts` says since when somebody waits to be answered with what they write next.
    """

    def __init__(
        self, context: Context, me: Identity, generation: Generation, sender: Sender,
        polling: Polling,
    ) -> None:  # fmt: skip
        self.context = context
        self.config = context.config
        self.clock = context.clock
        self.database = context.database
        self.me = me
        self.generation = generation
        self.sender = sender
        self.polling = polling
        self._silences: dict[int, tuple[Message, Reason, asyncio.Event]] = {}
        self._bursts: dict[tuple[int, int, int], float] = {}

    async def handle_update(self, update_id: int) -> None:
        """Raises what is to be tried again; returns when the update has its end."""
        async with self.database.transaction() as db:
            stored = inbox.begin(db, update_id)
        if stored is None:  # handled already, or its sender has been forgotten
            return
        try:
            if stored.crashes < MOST_CRASHES:
                await self._plan(update_id, await self._answer(update_id, stored))
                await self.context.explanations.tell(update_id)
                return
        except Unreadable:
            pass
        except BaseException as error:  # a cancellation as well: the process survived the attempt
            passes = isinstance(error, (*PASSING, OSError)) or is_fault(error)  # however late
            is_own = isinstance(error, Exception) and not passes
            failures = await self.context.write(lambda db: inbox.end_attempt(db, update_id, is_own))
            if not is_own or failures < MOST_FAILURES:
                raise
        logger().warning("update given up", crashes=stored.crashes)
        self.context.metrics.failed_updates.inc()
        await self._plan(update_id, Answer(), "failed")

    async def _answer(self, update_id: int, stored: inbox.Stored) -> Answer:
        match update := stored.read():
            case Message() if not update.is_move:
                return await self._answer_message(update_id, update, stored.taken_at)
            case Message():  # told in both chats, and either may be read first
                old = update.migrate_from_chat_id or update.chat
                new = update.migrate_to_chat_id or update.chat
                await self.sender.migrate(old, new)
            case ButtonPress():
                return await answer_button(update, self.context, self.me)
            case Membership() if update.is_arrival:
                return await greet(update, self.context, self.me)
        return Answer()

    async def _answer_message(self, update_id: int, message: Message, taken_at: float) -> Answer:
        reason, settings = await self._decide(update_id, message)
        texts, now = self.config.texts, self.clock.now()
        if reason is Reason.COMMAND:
            known = self.generation.version, self.polling.last_success
            placed = message if message.post else message.outside_thread()
            order = Order(placed, update_id, settings, self.me, self.context, now, *known)
            return _counted(await run_command(order), message, "command", now)
        if reason is Reason.LIMIT_TOLD:
            told = _answered(message, reason, (answer_to(message, texts.limited),))
            return _counted(told, message, "limit_told", now)
        if reason in SPEAKS:
            silence = asyncio.Event()
            self._silences[update_id] = message, reason, silence
            try:
                reply = self._reply(update_id, message, taken_at, reason)
                if (answer := await unless(silence, reply)) is not None:
                    return answer
            finally:
                del self._silences[update_id]
        self._bursts.pop(_place(message), None)
        passed_over: Write = lambda db: history.end_burst(db, message, Reason.SILENCED)  # noqa: E731
        return Answer(writes=(passed_over,)) if reason in SPEAKS else Answer()

    async def _decide(self, update_id: int, message: Message) -> tuple[Reason, ChatSettings]:
        """Decide whether to answer, and remember what was said."""
        now = self.clock.now()
        async with self.database.transaction() as db:
            view = history.view(db, message, now, self.config.new_chat)
            reason = decide(message, self.me, view, self.config, now)
            # not where the sender has been forgotten meanwhile
            if reason not in NOT_TALK and message.said and inbox.is_new(db, update_id):
                said = None if message.is_edit else message.quoted
                there = message.elsewhere_chat or message.chat
                if said and not said.command and self.context.may_keep(said, there, self.me.id):
                    history.add_answered(db, message, said, self.me.id)
                history.add_message(db, message, reason)
        self.context.metrics.decided.labels(reason.value).inc()
        where = {"chat_id": message.chat, "message_id": message.message_id}
        self.context.explanations.note(update_id, reason=reason.value, **where)
        return reason, view.settings

    async def _reply(
        self, update_id: int, message: Message, taken_at: float, reason: Reason
    ) -> Answer:
        """Answer in the persona's voice, or leave it to what its sender writes next."""
        began = self.clock.monotonic()
        where = message.chat, message.topic, message.place
        async with beside(show_typing(self.context.api, where, self.clock)):
            basis = await self._read_history(update_id, message, taken_at, reason)
            if basis is None:
                # it is answered with what its sender wrote after it
                waits = Reason.JOINED_UNASKED if reason in UNASKED else Reason.JOINED
                self.context.explanations.note(update_id, reason=waits.value)
                return Answer(writes=(lambda db: history.set_reason(db, message, waits),))
            if reason is Reason.WORDLESS:
                return self._answer_wordless(message, reason)
            try:
                lines = await self._ask(update_id, message, basis)
            except GenerationError:
                return self._tell_outage(message, reason)
        spent = self.clock.monotonic() - began
        return self._compose(basis.outside_chain(message), reason, lines, spent)

    def _answer_wordless(self, message: Message, reason: Reason) -> Answer:
        """Answer with one of the lines for it, the same at each attempt."""
        text = self.config.wordless[message.message_id % len(self.config.wordless)]
        answer = _answered(message, reason, (answer_to(message, text, asker=message.sender),))
        return _counted(answer, message, "answer", self.clock.now())

    async def _read_history(
        self, update_id: int, message: Message, taken_at: float, reason: Reason
    ) -> history.Basis | None:
        """What a reply rests on; None where the sender wrote more that is answered with this.

        The pause for more runs from the time at which the message came, by our clock alone: that of
        Telegram may differ from it.
        """
        pause = self.context.delays * self.config.burst_seconds
        pause = min(pause, taken_at + pause - self.clock.now())
        if pause > 0 and not message.is_by_bot:
            await self.clock.sleep(pause)
        async with self.database.transaction() as db:
            if self._is_continued(db, update_id, message, reason):
                return None
            self._bursts.pop(_place(message), None)
            return history.read_basis(db, message, HISTORY_MESSAGES)

    def _is_continued(
        self, db: Connection, update_id: int, message: Message, reason: Reason
    ) -> bool:
        now = self.clock.monotonic()
        waits_since = self._bursts.setdefault(_place(message), now)
        if message.is_by_bot or now - waits_since > LONGEST_BURST:
            return False
        later = inbox.later_messages(db, update_id, message)
        has_waited = self.clock.now() - message.at > BURST_GAP
        has_bursts = has_waited or self.config.burst_seconds > 0
        return any(continues(each, message, reason, self.me, has_bursts) for each in later)

    async def _ask(self, update_id: int, message: Message, basis: history.Basis) -> list[str]:
        key = chat_key(self.context.bot, message.chat, message.topic)
        turns = compose_turns(basis.messages, basis.answered, key, self.me, self.context.rules)
        if not turns:  # the sender has been forgotten meanwhile
            return []
        self.context.explanations.note(update_id, turns=turns)
        request_id = f"{self.context.bot}-{update_id}"
        lines, draws = await self.generation.ask(turns, key, request_id, basis)
        self.context.explanations.note(update_id, draws=draws)
        return lines

    def _compose(self, message: Message, reason: Reason, lines: list[str], spent: float) -> Answer:
        """Pace the lines as a person would type them; the time spent so far counts."""
        delays = typing_delays(lines, self.config.typing_speed)
        to: dict[str, Any] = {"asker": message.sender, "to_bot": message.is_by_bot, "spoken": True}
        calls = tuple(
            answer_to(message, line, part, after=max(0.0, self.context.delays * at - spent), **to)
            for part, (line, at) in enumerate(zip(lines, delays, strict=True))
        )
        kind = "unasked" if reason in UNASKED else "answer"
        return _counted(_answered(message, reason, calls), message, kind, self.clock.now())

    def _tell_outage(self, message: Message, reason: Reason) -> Answer:
        """People are told once, bots are not."""
        tell = not message.is_by_bot and self.generation.may_tell(message.chat, message.topic)
        line = answer_to(message, self.config.texts.unavailable, asker=message.sender)
        return _answered(message, reason, (line,) if tell else ())

    async def _plan(self, update_id: int, answer: Answer, state: str = "done") -> None:
        """Commit the answer, which is not made again from now on; the raw update goes."""
        async with self.database.transaction() as db:
            if not inbox.end(db, update_id, state):
                return  # its sender has been forgotten meanwhile
            outbox.plan(db, update_id, answer.messages, self.clock.now())
            planned = outbox.count(db)
            for write in answer.writes:
                write(db)
            if (silence := answer.silence) is not None:
                apart = chats.topics_apart(db, silence.chat)
                outbox.drop_talk(db, silence, apart)
            given_up = planned - outbox.count(db)
        self.context.metrics.failed.labels("given_up").inc(given_up)
        self.sender.wake(each.chat for each in answer.messages)
        if silence is not None:
            self._end_talk(silence, apart)
        for method, parameters in answer.calls:
            with suppress(AiogramError):
                await self.context.try_call(method, **parameters)

    def _end_talk(self, silence: Silence, apart: Collection[int]) -> None:
        """End what is thought up and typed."""
        for message, reason, end in self._silences.values():
            if silence.ends(apart, message.chat, message.topic, reason in UNASKED):
                end.set()
        self.sender.look_again()


def _place(message: Message) -> tuple[int, int, int]:
    """Where a person's bursts are."""
    return message.chat, message.topic, message.sender


def _answered(message: Message, reason: Reason, calls: tuple[Outgoing, ...]) -> Answer:
    """An answer to talk: the message and those that waited to be answered with it are."""
    return Answer(calls, (lambda db: history.end_burst(db, message, reason),))


def _counted(answer: Answer, message: Message, kind: str, now: float) -> Answer:
    """The answer, counted for the limits of the message's sender."""

    count: Write = lambda db: chats.add_ask(db, message, kind, now)  # noqa: E731
    return replace(answer, writes=(*answer.writes, count))
