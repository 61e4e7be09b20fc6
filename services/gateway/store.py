"""The gateway's memory: every method is one transaction, and each may be the last before a crash.

Here are the updates and their answers; beside them `turns` (the history) and `outbox`. Knows the
tables, and neither Telegram nor generation. Transactions stand in one line: SQLite has one writer,
and so it never answers that it is busy.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from services.gateway.answer import Answer, Change, Outgoing
from services.gateway.decision import Reason
from services.gateway.outbox_store import OutboxStore
from services.gateway.raw import Place, goes_on, place_of
from services.gateway.tables import Ask, Outbox, Turn, Update
from services.gateway.turn_store import TurnStore

LONGEST_BURST = 15.0
"""Seconds of one person's messages that are answered together."""
OFFSET_LIVES = 6 * 86_400.0
"""Seconds: after a quiet week Telegram may begin to count anew, so an old offset is not sent."""
KEEP_SENT = 2 * 86_400.0
"""Seconds for which what was sent is kept in the outbox, so that nothing is planned twice."""


class Store:
    """`connection` is its own; nobody else uses it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._line = asyncio.Lock()
        self.outbox = OutboxStore(self._transaction)
        self.turns = TurnStore(self._transaction)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        """Statements run at once, which for SQLite is quicker than handing them to a thread; what
        is written is flushed by one, and a caller that is cancelled meanwhile waits for it."""
        async with self._line:
            transaction = self._connection.begin()
            try:
                yield self._connection
                if _writes(self._connection):
                    await _through(asyncio.to_thread(transaction.commit))
            finally:
                if transaction.is_active:
                    transaction.rollback()
                if _writes(self._connection):  # a commit that failed
                    _sqlite(self._connection).rollback()

    async def take(self, payloads: Sequence[dict[str, Any]], now: float) -> None:
        """Keep raw updates; one that is here already stays as it is."""
        if not payloads:
            return
        async with self._transaction() as db:
            latest = (db.execute(select(func.max(Update.taken_at)))).scalar_one() or 0.0
            now = max(now, latest)  # a clock set back must not hide what came last from `offset`
            seen = upsert(Update).on_conflict_do_update(set_={"taken_at": now})
            db.execute(seen, [_row(each, now) for each in payloads])

    async def offset(self, now: float) -> int | None:
        """The next update to ask for; None asks for whatever Telegram still keeps."""
        async with self._transaction() as db:
            row = (db.execute(_newest())).first()
        return None if row is None or now - row.taken_at > OFFSET_LIVES else row.update_id + 1

    async def waiting(self) -> list[tuple[int, int]]:
        """Chat and id of every update not handled yet, in order."""
        query = select(Update.chat, Update.update_id).where(Update.state == "new")
        async with self._transaction() as db:
            rows = db.execute(query.order_by(Update.update_id))
            return [(row.chat, row.update_id) for row in rows]

    async def begin(self, update_id: int) -> tuple[dict[str, Any], int] | None:
        """Count an attempt and return the raw update with it; None when it is handled already."""
        chosen = (Update.update_id == update_id, Update.state == "new")
        counted = update(Update).where(*chosen).values(attempts=Update.attempts + 1)
        async with self._transaction() as db:
            row = (db.execute(counted.returning(Update.payload, Update.attempts))).one_or_none()
        return None if row is None else (json.loads(row.payload), row.attempts)

    async def goes_on(self, update_id: int, place: Place, at: float) -> bool:
        """Whether the sender wrote more there, and what waits for it is not too much already."""
        more = select(Update.payload).where(
            Update.state == "new",
            Update.update_id > update_id,
            Update.chat == place.chat,
            Update.topic == place.topic,
            Update.sender == place.sender,
        )
        first = select(func.min(Turn.at)).where(
            Turn.chat == place.chat,
            Turn.topic == place.topic,
            Turn.user_id == place.sender,
            Turn.reason == Reason.JOINED.value,
        )
        async with self._transaction() as db:
            began = (db.execute(first)).scalar_one()
            payloads = list((db.execute(more)).scalars())
        until = (at if began is None else began) + LONGEST_BURST
        return any(goes_on(json.loads(payload), until) for payload in payloads)

    async def settle(self, update_id: int, answer: Answer, now: float, state: str = "done") -> None:
        """Commit the answer, which is not generated again from now on; the raw update goes."""
        rows = [_planned(update_id, part, each, now) for part, each in enumerate(answer.messages)]
        ended = update(Update).where(Update.update_id == update_id, Update.state == "new")
        async with self._transaction() as db:
            if not db.execute(ended.values(state=state, payload="")).rowcount:
                return  # its sender has been forgotten meanwhile
            if rows:
                db.execute(insert(Outbox), rows)
            for change in answer.changes:
                change(db)

    async def commit(self, change: Change) -> None:
        """Make a change that no update's answer brings along."""
        async with self._transaction() as db:
            change(db)

    async def prune(self, now: float, days: int) -> None:
        """Delete what is older than it may be, but for the update that `offset` counts from."""
        async with self._transaction() as db:
            newest = (db.execute(_newest())).first()
            last = newest.update_id if newest else 0
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


def _newest() -> Any:
    query = select(Update.update_id, Update.taken_at)
    return query.order_by(Update.taken_at.desc(), Update.update_id.desc()).limit(1)


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
