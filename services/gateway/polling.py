"""Asks Telegram for updates: they are on disk before the next call confirms them.

The loop ends by itself for a refused token alone; each turn of it is a sign of life. Nothing stands
before it but the question who we are: what else Telegram is told is told beside it, by `set_up`.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from aiogram import exceptions

from contracts.refusal import Refusal
from contracts.retry import retry
from services.gateway.bot_api import REFUSED
from services.gateway.command_table import menus
from services.gateway.context import Context
from services.gateway.errors import pause_after
from services.gateway.incoming import Identity
from services.gateway.name_forms import name_forms
from services.gateway.store import history, inbox
from services.gateway.store.database import is_fault
from telemetry.logs import logger

LONG_POLL_SECONDS = 25
"""Time for which Telegram may hold a call that has nothing to tell."""
CALL_SECONDS = LONG_POLL_SECONDS + 10
FLOOR_SECONDS = 1.0
"""Time that a call takes at least which tells nothing: a server may answer it at once. One that
tells something comes between, so that it is asked twice a second at most."""
ALIVE_SECONDS = 60.0
"""Time within which the loop turns: a call's longest and the longest pause, and a little."""
READY_SECONDS = 75.0
"""Time for which a poll that succeeded makes the gateway ready: two calls, and a little."""
ALLOWED = ["message", "edited_message", "callback_query", "my_chat_member"]
_OUTCOMES = {
    exceptions.TelegramConflictError: "conflict",
    exceptions.TelegramNetworkError: "network",
    exceptions.TelegramRetryAfter: "limited",
    exceptions.TelegramServerError: "server",
}
_UNKNOWN_TOKEN = (exceptions.TelegramUnauthorizedError, exceptions.TelegramNotFound)
_MESSAGES = {
    "conflict": "another process polls with this token: stop it, Telegram lets one alone poll",
    "limited": "telegram asks for a pause",
    "disk": "the database does not take what came",
    "other": "polling failed",
}

T = TypeVar("T")


class Polling:
    """`last_success` is when Telegram last answered a poll, 0 before it did."""

    def __init__(self, context: Context) -> None:
        self._api = context.api
        self._database = context.database
        self._context = context
        self._metrics = context.metrics
        self._clock = context.clock
        self._turns_by = 0.0
        self.sign_of_life()
        self.last_success = 0.0
        self._ready_until = 0.0

    def is_alive(self) -> bool:
        """Whether the loop turns in time; a pause that was asked for is in time, however long."""
        return self._clock.monotonic() < self._turns_by

    def is_ready(self) -> bool:
        """Whether polls succeed; no conflict lets it be until the next one does."""
        return self._clock.monotonic() < self._ready_until

    def sign_of_life(self, pause: float = 0.0) -> None:
        self._turns_by = max(self._turns_by, self._clock.monotonic() + pause + ALIVE_SECONDS)

    async def introduce(self) -> Identity:
        """Return who we are; raises Refusal, also where the database is another bot's."""

        async def ask() -> Identity:
            me, config = await self._api.call("getMe"), self._context.config
            reads_all = me.get("can_read_all_group_messages")
            self._metrics.reads_all.set(int(bool(reads_all)))
            return Identity(
                int(me["id"]),
                str(me.get("username") or ""),
                name_forms(config.names),
                reads_all is not False,  # a server that says nothing may have no privacy mode
                config.names_at == "edge",
            )

        me = await self._until_done(ask)
        known = await self._context.write(history.persona_id)
        if known not in (None, me.id):
            raise Refusal(
                f"TELEGRAM_TOKEN: is of @{me.username} (id {me.id}), and the database of the bot"
                f" with id {known}: give that one's token, or begin with an empty GATEWAY_DATA_DIR"
            )
        return me

    async def set_up(self) -> None:
        """Delete a webhook that somebody left, since it forbids polling, and list the commands.

        Tries each call for as long as it may succeed later.
        """
        calls = [("deleteWebhook", dict[str, Any]()), *(("setMyCommands", m) for m in menus())]
        for method, parameters in calls:
            with suppress(*REFUSED, *_UNKNOWN_TOKEN):  # an older server; a refused token
                call = partial(self._api.call, method, **parameters)
                await retry(call, self._clock, _patiently)

    async def run(self, arrived: Callable[[list[inbox.Arrival]], None]) -> None:
        """Poll for ever; `arrived` gets updates once they are stored. Raises Refusal."""
        while True:
            arrived(await self._until_done(self._poll))

    async def _poll(self) -> list[inbox.Arrival]:
        async with self._database.transaction() as db:
            offset = inbox.next_offset(db, self._clock.now())
        # the first one shows at once whether another process polls
        seconds = LONG_POLL_SECONDS if self.last_success else 0
        wanted = {"offset": offset, "timeout": seconds, "allowed_updates": ALLOWED}
        began = self._clock.monotonic()
        updates: list[dict[str, Any]] = await self._api.call("getUpdates", CALL_SECONDS, **wanted)
        now, stored = self._clock.now(), list[inbox.Arrival]()
        if updates:
            async with self._database.transaction(flush=True) as db:
                stored = inbox.store_updates(db, updates, now)
        self._metrics.taken.inc(len(updates))
        self._metrics.polls.labels("ok").inc()
        self._metrics.last_poll.set(now)
        self.last_success = now
        self._ready_until = self._clock.monotonic() + READY_SECONDS
        left = FLOOR_SECONDS - (self._clock.monotonic() - began)
        if seconds and not updates and left > 0:
            await self._clock.sleep(left)
        return stored

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat the step until it succeeds; raises Refusal."""

        async def attempt() -> T:
            self.sign_of_life()
            return await step()

        try:
            return await retry(attempt, self._clock, self._pause)
        except _UNKNOWN_TOKEN:
            raise Refusal("TELEGRAM_TOKEN: Telegram knows no such bot") from None

    def _pause(self, error: Exception, attempt: int) -> float | None:
        if isinstance(error, _UNKNOWN_TOKEN):
            return None
        named = (name for kind, name in _OUTCOMES.items() if isinstance(error, kind))
        outcome = "disk" if is_fault(error) else next(named, "other")
        if outcome == "conflict":
            self._ready_until = 0.0
        self._metrics.polls.labels(outcome).inc()
        message = _MESSAGES.get(outcome, "telegram did not answer")
        logger().warning(message, outcome=outcome, error=error)
        pause = pause_after(error, attempt)
        self.sign_of_life(pause)
        return pause


def _patiently(error: Exception, attempt: int) -> float | None:
    """Pauses of up to ten minutes; a call that is refused is not repeated."""
    is_refused = isinstance(error, (*REFUSED, *_UNKNOWN_TOKEN))
    return None if is_refused else pause_after(error, attempt, longest=600.0)
