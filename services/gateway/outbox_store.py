"""The outbox's rows from planned to sent; every method is one transaction.

Taken from `sending` back to `planned`, a row may be sent twice: `recover` returns how many were.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, exists, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from contracts.turn import Role
from services.gateway.changes import WHOLE_BOT
from services.gateway.repeats import key
from services.gateway.tables import Denied, Outbox, Turn, Update
from services.gateway.turn_store import BOT_SETTINGS, HERE_SETTINGS, IN_A_ROW, settings_in

Transaction = Callable[..., AbstractAsyncContextManager[Connection]]
"""`flush=True` where the disk must have it at the end."""

_SENDING = (
    update(Outbox)
    .where(Outbox.id == bindparam("row"), Outbox.state == "planned")
    .values(state="sending", attempts=Outbox.attempts + 1)
)
_HEARD_SINCE = exists().where(
    Turn.chat == bindparam("chat"),
    Turn.topic == bindparam("topic"),
    Turn.role == Role.OTHER.value,
    Turn.message_id > bindparam("reply_to"),
    Turn.user_id != bindparam("asker"),
)
_WAITS_SINCE = exists().where(
    Update.chat == bindparam("chat"),
    Update.topic == bindparam("topic"),
    Update.state == "new",
    Update.update_id > bindparam("update_id"),
    Update.sender != bindparam("asker"),
)
_MOMENT = select(
    or_(_HEARD_SINCE, _WAITS_SINCE).label("answered"),
    exists()
    .where(Denied.key == bindparam("key"), Denied.chat.in_((WHOLE_BOT, bindparam("chat"))))
    .label("denied"),
    select(Update.taken_at)
    .where(Update.update_id == bindparam("update_id"))
    .scalar_subquery()
    .label("taken_at"),
    BOT_SETTINGS.label("of_bot"),
    *HERE_SETTINGS,
    *IN_A_ROW,
)
_CHATS = select(Outbox.chat, func.count()).where(Outbox.state == "planned").group_by(Outbox.chat)
_SENT = (
    update(Outbox)
    .where(Outbox.id == bindparam("row"))
    .values(state="sent", message_id=bindparam("as_id"), text="")
)
_SAID = upsert(Turn).on_conflict_do_nothing()
_FIRST = (
    select(Outbox.__table__)
    .where(Outbox.chat == bindparam("chat"), Outbox.state == "planned")
    .order_by(Outbox.id)
    .limit(1)
)


@dataclass(frozen=True)
class Moment:
    """How it stands when a message is about to be sent.

    answered    others have written since what it answers
    denied      it must not be said (any more)
    opted_out   the bot answers nobody any more
    muted_until when it may speak there again
    bots        messages of bots in a row, ours among them
    other_bots  how many bots but ours wrote them
    taken_at    when the update that it answers was taken; None when that is pruned already
    """

    answered: bool
    denied: bool
    opted_out: bool
    muted_until: float
    bots: int
    other_bots: int
    taken_at: float | None


class OutboxStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def recover(self) -> int:
        """Plan again what was being sent when the process died; returns how many rows."""
        again = update(Outbox).where(Outbox.state == "sending").values(state="planned")
        async with self._transaction() as db:
            return len((db.execute(again.returning(Outbox.id))).all())

    async def chats(self) -> tuple[list[int], int]:
        """Chats to which something is to be sent, and how many messages."""
        async with self._transaction() as db:
            rows = db.execute(_CHATS).all()
        return [chat for chat, _ in rows], sum(count for _, count in rows)

    async def first(self, chat: int) -> Any | None:
        """The chat's next row, due or not."""
        async with self._transaction() as db:
            return db.execute(_FIRST, {"chat": chat}).first()

    async def sending(self, row: Any) -> Moment | None:
        """From now on it may have been sent; None when it is not planned any more."""
        values = {**row._mapping, "key": key(row.text)}
        async with self._transaction(flush=True) as db:
            if not db.execute(_SENDING, {"row": row.id}).rowcount:
                return None
            found = db.execute(_MOMENT, values).one()
        talk = bool(row.spoken or row.asker)  # and no answer to a command
        denied = talk and bool(found.denied)
        out = talk and bool((found.of_bot or {}).get("opted_out"))
        until = settings_in(found).muted_until if talk else 0.0
        return Moment(
            bool(found.answered), denied, out, until, found.bots, found.others, found.taken_at
        )

    async def postpone(self, row_id: int, now: float, seconds: float) -> None:
        """Only what is being sent: what was forgotten meanwhile stays so."""
        again = update(Outbox).where(Outbox.id == row_id, Outbox.state == "sending")
        planned_at = func.min(Outbox.planned_at, now)  # the clock may have been set back
        values = {"not_before": now + seconds, "planned_at": planned_at}
        async with self._transaction() as db:
            db.execute(again.values(state="planned", **values))

    async def fail(self, row_id: int) -> None:
        await self._change(row_id, state="failed")

    async def _change(self, row_id: int, **values: Any) -> None:
        async with self._transaction() as db:
            db.execute(update(Outbox).where(Outbox.id == row_id).values(**values))

    async def sent(self, row: Any, message_id: int, bot_id: int, now: float) -> None:
        """Sent, and with the persona's own words part of the history."""
        turn = {
            "chat": row.chat, "topic": row.topic, "message_id": message_id, "user_id": bot_id,
            "is_bot": True, "text": row.text, "at": now, "role": Role.PERSONA.value,
        }  # fmt: skip
        async with self._transaction() as db:
            db.execute(_SENT, {"row": row.id, "as_id": message_id})
            if row.spoken:
                db.execute(_SAID, turn)
