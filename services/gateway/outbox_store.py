"""The outbox's rows from planned to sent; every method is one transaction.

Taken from `sending` back to `planned`, a row may be sent twice: `recover` returns how many were.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts.turn import Role
from services.gateway.tables import Outbox, Turn

Transaction = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class OutboxStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def recover(self) -> int:
        """Plan again what was being sent when the process died; returns how many rows."""
        again = update(Outbox).where(Outbox.state == "sending").values(state="planned")
        async with self._transaction() as db:
            return len((await db.execute(again.returning(Outbox.id))).all())

    async def chats(self) -> list[int]:
        """Chats to which something is to be sent."""
        query = select(Outbox.chat).where(Outbox.state == "planned").distinct()
        async with self._transaction() as db:
            return list((await db.execute(query)).scalars())

    async def size(self) -> int:
        query = select(func.count()).where(Outbox.state == "planned")
        async with self._transaction() as db:
            return (await db.execute(query)).scalar_one()

    async def first(self, chat: int) -> Any | None:
        """The chat's next row, due or not."""
        query = select(Outbox.__table__).where(Outbox.chat == chat, Outbox.state == "planned")
        async with self._transaction() as db:
            return (await db.execute(query.order_by(Outbox.id).limit(1))).first()

    async def sending(self, row_id: int) -> None:
        await self._change(row_id, state="sending", attempts=Outbox.attempts + 1)

    async def postpone(self, row_id: int, until: float) -> None:
        await self._change(row_id, state="planned", not_before=until)

    async def fail(self, row_id: int) -> None:
        await self._change(row_id, state="failed")

    async def _change(self, row_id: int, **values: Any) -> None:
        async with self._transaction() as db:
            await db.execute(update(Outbox).where(Outbox.id == row_id).values(**values))

    async def sent(self, row: Any, message_id: int, bot_id: int, now: float) -> None:
        """Sent, and with the persona's own words part of the history."""
        done = update(Outbox).where(Outbox.id == row.id)
        turn = upsert(Turn).values(
            chat=row.chat, topic=row.topic, message_id=message_id, user_id=bot_id, is_bot=True,
            text=row.text, at=now, role=Role.PERSONA.value,
        )  # fmt: skip
        async with self._transaction() as db:
            await db.execute(done.values(state="sent", message_id=message_id))
            if row.spoken:
                await db.execute(turn.on_conflict_do_nothing())
