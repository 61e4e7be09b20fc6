"""The gateway's memory: every method is one transaction, and each may be the last before a crash.

Knows the tables, and neither Telegram nor generation. Transactions stand in one line: SQLite has
one writer, and so it never answers that it is busy.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts.turn import Role
from services.gateway.outbox_store import OutboxStore
from services.gateway.tables import Chat, Outbox, Turn, Update

OFFSET_LIVES = 6 * 86_400.0
"""Seconds: after a quiet week Telegram may begin to count anew, so an old offset is not sent."""


@dataclass(frozen=True)
class Answer:
    """What is to be sent for an update: nothing, or messages one after another.

    spoken   they are the persona's own words
    insane   the chat's insanity from now on, None leaves it
    """

    lines: tuple[str, ...] = ()
    chat: int = 0
    topic: int = 0
    reply_to: int = 0
    spoken: bool = False
    insane: bool | None = None


def chat_of(payload: dict[str, Any]) -> int:
    """The chat of a raw update's message, 0 where there is none; never raises."""
    value: Any = payload
    for key in ("message", "chat", "id"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, int) else 0


class Store:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._line = asyncio.Lock()
        self.outbox = OutboxStore(self._transaction)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        async with self._line, self._engine.begin() as connection:
            yield connection

    async def take(self, payloads: Sequence[dict[str, Any]], now: float) -> None:
        """Keep raw updates; one that is here already stays as it is."""
        if not payloads:
            return
        async with self._transaction() as db:
            latest = (await db.execute(select(func.max(Update.taken_at)))).scalar_one() or 0.0
        now = max(now, latest)  # a clock set back must not hide what came last from `offset`
        rows = [
            {
                "update_id": each["update_id"],
                "payload": json.dumps(each),  # escaped: half a surrogate pair is no UTF-8
                "state": "new",
                "attempts": 0,
                "chat": chat_of(each),
                "taken_at": now,
            }
            for each in payloads
        ]
        seen = upsert(Update).on_conflict_do_update(set_={"taken_at": now})
        async with self._transaction() as db:
            await db.execute(seen, rows)

    async def offset(self, now: float) -> int | None:
        """The next update to ask for; None asks for whatever Telegram still keeps."""
        newest = select(Update.update_id, Update.taken_at).order_by(
            Update.taken_at.desc(), Update.update_id.desc()
        )
        async with self._transaction() as db:
            row = (await db.execute(newest.limit(1))).first()
        return None if row is None or now - row.taken_at > OFFSET_LIVES else row.update_id + 1

    async def waiting(self) -> list[tuple[int, int]]:
        """Chat and id of every update not handled yet, in order."""
        query = select(Update.chat, Update.update_id).where(Update.state == "new")
        async with self._transaction() as db:
            rows = await db.execute(query.order_by(Update.update_id))
            return [(row.chat, row.update_id) for row in rows]

    async def begin(self, update_id: int) -> tuple[dict[str, Any], int] | None:
        """Count an attempt and return the raw update with it; None when it is handled already."""
        chosen = (Update.update_id == update_id, Update.state == "new")
        counted = update(Update).where(*chosen).values(attempts=Update.attempts + 1)
        async with self._transaction() as db:
            row = (
                await db.execute(counted.returning(Update.payload, Update.attempts))
            ).one_or_none()
        return None if row is None else (json.loads(row.payload), row.attempts)

    async def settle(self, update_id: int, answer: Answer, state: str = "done") -> None:
        """Commit the answer, which is not generated again from now on."""
        base = {
            "update_id": update_id,
            "chat": answer.chat,
            "topic": answer.topic,
            "spoken": answer.spoken,
            "state": "planned",
            "not_before": 0.0,
            "attempts": 0,
        }
        rows = [
            {**base, "part": part, "text": line, "reply_to": 0 if part else answer.reply_to}
            for part, line in enumerate(answer.lines)
        ]
        async with self._transaction() as db:
            if rows:
                await db.execute(insert(Outbox), rows)
            if answer.insane is not None:
                await _set(db, answer.chat, insane=answer.insane)
            await db.execute(
                update(Update).where(Update.update_id == update_id).values(state=state)
            )

    async def remember(
        self, *, chat: int, topic: int, message_id: int, user_id: int, is_bot: bool, text: str,
        at: float,
    ) -> None:  # fmt: skip
        """Add somebody's message to the history, once."""
        row = upsert(Turn).values(
            chat=chat, topic=topic, message_id=message_id, user_id=user_id, is_bot=is_bot,
            text=text, at=at, role=Role.OTHER.value,
        )  # fmt: skip
        async with self._transaction() as db:
            await db.execute(row.on_conflict_do_nothing())

    async def history(self, chat: int, topic: int, last: int, limit: int) -> list[Any]:
        """A topic's messages up to the one with the id `last`: user_id, role, text."""
        end = select(Turn.id).where(Turn.chat == chat, Turn.message_id == last)
        query = select(Turn.user_id, Turn.role, Turn.text).where(
            Turn.chat == chat, Turn.topic == topic, Turn.id <= end.scalar_subquery()
        )
        async with self._transaction() as db:
            rows = (await db.execute(query.order_by(Turn.id.desc()).limit(limit))).all()
        return list(reversed(rows))

    async def bots_in_a_row(self, chat: int, topic: int, message_id: int) -> int:
        """Messages of other bots since a person's last one, the message given not counted."""
        others = (
            Turn.chat == chat,
            Turn.topic == topic,
            Turn.role == Role.OTHER.value,
            Turn.message_id != message_id,
        )
        person = select(func.coalesce(func.max(Turn.id), 0)).where(*others, ~Turn.is_bot)
        query = select(func.count()).where(*others, Turn.is_bot, Turn.id > person.scalar_subquery())
        async with self._transaction() as db:
            return (await db.execute(query)).scalar_one()

    async def insane(self, chat: int) -> bool:
        async with self._transaction() as db:
            return bool((await _settings(db, chat)).get("insane", False))

    async def migrate(self, old: int, new: int) -> None:
        """A group became a supergroup: settings go along once, unsent messages always."""
        known = select(Chat.chat).where(Chat.chat == old, Chat.migrated_to == new)
        async with self._transaction() as db:
            if (await db.execute(known)).first() is None:
                await _set(db, new, **await _settings(db, old))
                await _set(db, old)
                await db.execute(update(Chat).where(Chat.chat == old).values(migrated_to=new))
            await db.execute(
                update(Outbox).where(Outbox.chat == old, Outbox.state == "planned")
                .values(chat=new, reply_to=0)
            )  # fmt: skip


async def _settings(db: AsyncConnection, chat: int) -> dict[str, bool]:
    query = select(Chat.settings).where(Chat.chat == chat, Chat.topic == 0)
    return (await db.execute(query)).scalar_one_or_none() or {}


async def _set(db: AsyncConnection, chat: int, **values: bool) -> None:
    settings = {**await _settings(db, chat), **values}
    row = upsert(Chat).values(chat=chat, topic=0, settings=settings)
    await db.execute(row.on_conflict_do_update(set_={"settings": settings}))
