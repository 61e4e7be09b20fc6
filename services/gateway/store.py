"""The gateway's memory: every method is one transaction, and each may be the last before a crash.

Here are the updates and their answers; beside them `turns` (the history) and `outbox`. Knows the
tables, and neither Telegram nor generation. Transactions stand in one line: SQLite has one writer,
and so it never answers that it is busy.

A killed process loses no transaction. A machine without power loses those since the last flush, and
flushed are updates, before Telegram hears that they were taken, and a message's `sending`, before
it goes. So whatever the outside was told is on the disk, and all that came before it.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from services.gateway.answer import Answer, Change, Outgoing
from services.gateway.decision import Reason
from services.gateway.outbox_store import OutboxStore
from services.gateway.raw import Place, goes_on, place_of
from services.gateway.tables import Ask, Outbox, Turn, Update
from services.gateway.turn_store import JOINS, TurnStore

LONGEST_BURST = 15.0
"""Seconds of one person's messages that are answered together."""
OFFSET_LIVES = 6 * 86_400.0
"""Seconds: after a quiet week Telegram may begin to count anew, so an old offset is not sent."""
KEEP_SENT = 2 * 86_400.0
"""Seconds for which what was sent is kept in the outbox, so that nothing is planned twice."""

_FLUSHED = ("synchronous=FULL", "wal_autocheckpoint=1000")
_WRITTEN = ("synchronous=NORMAL", "wal_autocheckpoint=0")
"""What the operating system has, and the next flush takes along."""

_take = upsert(Update)
_TAKE = _take.on_conflict_do_update(set_={"taken_at": _take.excluded.taken_at})
_NEWEST = (
    select(Update.taken_at, Update.update_id)
    .order_by(Update.taken_at.desc(), Update.update_id.desc())
    .limit(1)
)
_WAITING = (
    select(Update.chat, Update.update_id).where(Update.state == "new").order_by(Update.update_id)
)
_NEW = (Update.update_id == bindparam("id"), Update.state == "new")
_BEGIN = (
    update(Update)
    .where(*_NEW)
    .values(attempts=Update.attempts + 1)
    .returning(Update.payload, Update.attempts)
)
_END = update(Update).where(*_NEW).values(state=bindparam("end"), payload="")
_PLAN = insert(Outbox)
_MORE = select(Update.payload).where(
    Update.state == "new",
    Update.update_id > bindparam("id"),
    Update.chat == bindparam("chat"),
    Update.topic == bindparam("topic"),
    Update.sender == bindparam("sender"),
)
_JOINED_SINCE = select(func.min(Turn.at)).where(
    Turn.chat == bindparam("chat"),
    Turn.topic == bindparam("topic"),
    Turn.user_id == bindparam("sender"),
    Turn.at > bindparam("at") - JOINS,
    Turn.reason == Reason.JOINED.value,
)


class Store:
    """`connection` is its own; nobody else uses it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._line = asyncio.Lock()
        self._flushes: bool | None = None
        self._newest: tuple[float, int] | None = None
        self.outbox = OutboxStore(self._transaction)
        self.turns = TurnStore(self._transaction)

    @asynccontextmanager
    async def _transaction(self, flush: bool = False) -> AsyncIterator[Connection]:
        """Statements run at once, which for SQLite is quicker than handing them to a thread; what
        is to be flushed is by one, and a caller that is cancelled meanwhile waits for it."""
        async with self._line:
            self._set(flush)
            transaction = self._connection.begin()
            try:
                yield self._connection
                if flush and _writes(self._connection):
                    await _through(asyncio.to_thread(transaction.commit))
                elif _writes(self._connection):
                    transaction.commit()
            finally:
                if transaction.is_active:
                    transaction.rollback()
                if _writes(self._connection):  # a commit that failed
                    _sqlite(self._connection).rollback()

    def _set(self, flush: bool) -> None:
        """Only who flushes moves the log into the file, too, which takes as long."""
        if self._flushes != flush:
            for pragma in _FLUSHED if flush else _WRITTEN:
                _sqlite(self._connection).execute(f"PRAGMA {pragma}")
            self._flushes = flush

    async def take(self, payloads: Sequence[dict[str, Any]], now: float) -> None:
        """Keep raw updates; one that is here already stays as it is."""
        if not payloads:
            return
        async with self._transaction(flush=True) as db:
            latest, newest = self._latest(db) or (0.0, 0)
            now = max(now, latest)  # a clock set back must not hide what came last from `offset`
            db.execute(_TAKE, [_row(each, now) for each in payloads])
        ids = [int(each["update_id"]) for each in payloads]
        self._newest = max((latest, newest), (now, max(ids)))

    async def offset(self, now: float) -> int | None:
        """The next update to ask for; None asks for whatever Telegram still keeps."""
        async with self._transaction() as db:
            latest = self._latest(db)
        return None if latest is None or now - latest[0] > OFFSET_LIVES else latest[1] + 1

    def _latest(self, db: Connection) -> tuple[float, int] | None:
        """When the update was taken that `offset` counts from, and its id; None has the table."""
        if self._newest is None and (row := db.execute(_NEWEST).first()):
            self._newest = (row.taken_at, row.update_id)
        return self._newest

    async def waiting(self) -> list[tuple[int, int]]:
        """Chat and id of every update not handled yet, in order."""
        async with self._transaction() as db:
            return [(row.chat, row.update_id) for row in db.execute(_WAITING)]

    async def begin(self, update_id: int) -> tuple[dict[str, Any], int] | None:
        """Count an attempt and return the raw update with it; None when it is handled already."""
        async with self._transaction() as db:
            row = db.execute(_BEGIN, {"id": update_id}).one_or_none()
        return None if row is None else (json.loads(row.payload), row.attempts)

    async def goes_on(self, update_id: int, place: Place, at: float) -> bool:
        """Whether the sender wrote more there, and what waits for it is not too much already."""
        here = {"id": update_id, "at": at, **place._asdict()}
        async with self._transaction() as db:
            began = db.execute(_JOINED_SINCE, here).scalar_one()
            payloads = db.execute(_MORE, here).scalars().all()
        until = (at if began is None else began) + LONGEST_BURST
        return any(goes_on(json.loads(payload), until) for payload in payloads)

    async def settle(self, update_id: int, answer: Answer, now: float, state: str = "done") -> int:
        """Commit the answer, which is not generated again from now on; the raw update goes.

        Returns how many planned messages its changes gave up.
        """
        rows = [_planned(update_id, part, each, now) for part, each in enumerate(answer.messages)]
        async with self._transaction() as db:
            if not db.execute(_END, {"id": update_id, "end": state}).rowcount:
                return 0  # its sender has been forgotten meanwhile
            if rows:
                db.execute(_PLAN, rows)
            return sum(change(db) or 0 for change in answer.changes)

    async def commit(self, change: Change) -> None:
        """Make a change that no update's answer brings along."""
        async with self._transaction() as db:
            change(db)

    async def prune(self, now: float, days: int) -> None:
        """Delete what is older than it may be, but for the update that `offset` counts from."""
        async with self._transaction() as db:
            _, last = self._latest(db) or (0.0, 0)
            done = (Update.state != "new", Update.update_id != last)
            db.execute(delete(Update).where(*done, Update.taken_at < now - KEEP_SENT))
            db.execute(delete(Turn).where(Turn.at < now - days * 86_400))
            db.execute(delete(Ask).where(Ask.at < now - KEEP_SENT))
            ended = Outbox.state.in_(("sent", "failed"))
            db.execute(delete(Outbox).where(ended, Outbox.planned_at < now - KEEP_SENT))


async def _through(work: Coroutine[Any, Any, None]) -> None:
    """Do it to its end, whoever cancels meanwhile, and be cancelled then."""
    task, cancelled = asyncio.ensure_future(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    failed = task.exception()
    if cancelled:
        raise asyncio.CancelledError
    if failed:
        raise failed


def _sqlite(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _writes(connection: Connection) -> bool:
    """Whether the transaction has anything to flush: sqlite3 begins one at the first change."""
    return _sqlite(connection).in_transaction


def _row(payload: dict[str, Any], now: float) -> dict[str, Any]:
    place = place_of(payload)
    return {
        "update_id": payload["update_id"],
        "payload": json.dumps(payload),  # escaped: half a surrogate pair is no UTF-8
        "state": "new",
        "attempts": 0,
        "taken_at": now,
        **place._asdict(),
    }


def _planned(update_id: int, part: int, message: Outgoing, now: float) -> dict[str, Any]:
    values = {key: value for key, value in vars(message).items() if key != "after"}
    return {
        **values,
        "update_id": update_id,
        "part": part,
        "state": "planned",
        "not_before": now + message.after,
        "attempts": 0,
        "planned_at": now,
    }
