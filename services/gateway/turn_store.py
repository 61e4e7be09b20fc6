"""The history: what was said where, and what of it a decision and a reply rest on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, distinct, exists, func, literal, select
from sqlalchemy.dialects.sqlite import insert as upsert

from contracts.turn import Role
from services.gateway.changes import WHOLE_BOT
from services.gateway.decision import ASKED, SPEAKS, UNASKED, ChatSettings, Reason, View
from services.gateway.repeats import LATELY, key, repeats
from services.gateway.tables import Chat, Denied, Turn

Transaction = Callable[[], AbstractAsyncContextManager[Connection]]
JOINS = 60.0
"""Seconds within which a message that waits for its sender's next is answered with it."""


@dataclass(frozen=True)
class Heard:
    """A message of somebody's, as the history takes it."""

    chat: int
    topic: int
    message_id: int
    user_id: int
    is_bot: bool
    text: str
    at: float
    album: str | None = None


@dataclass(frozen=True)
class Recall:
    """What a reply rests on: messages, oldest first, and what must not be said (again)."""

    messages: list[Any]
    lately: frozenset[str]
    denied: frozenset[str]


class TurnStore:
    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def view(self, heard: Heard, now: float) -> View:
        """What is known of a message; itself is not counted, whether it is stored or not."""
        query = select(
            _settings(heard.chat, heard.topic).label("topic"),
            _settings(heard.chat, 0).label("chat"),
            _settings(WHOLE_BOT, 0).label("whole"),
            _before(heard).label("before"),
            *in_a_row(heard.chat, heard.topic, heard.message_id),
            _joined(heard).label("joined"),
            _album(heard).label("album"),
            _asked(heard, now).label("asked_in_hour"),
            _unasked(heard, now).label("unasked_in_minute"),
        )
        async with self._transaction() as db:
            row = (db.execute(query)).one()
            repeated = heard.is_bot and _repeated(db, heard)
        return View(
            settings=ChatSettings.model_validate(row.topic or row.chat or {}),
            opted_out=bool((row.whole or {}).get("opted_out")),
            before=row.before,
            bots=row.bots,
            other_bots=max(row.others, int(heard.is_bot)),
            repeated=repeated,
            joined=bool(row.joined),
            album=bool(row.album),
            asked_in_hour=row.asked_in_hour,
            unasked_in_minute=row.unasked_in_minute,
        )

    async def remember(self, heard: Heard, reason: Reason) -> None:
        """Add a message to the history once; one that was edited gets its new text."""
        values = {**vars(heard), "role": Role.OTHER.value, "reason": reason.value}
        row = upsert(Turn).values(values)
        async with self._transaction() as db:
            db.execute(row.on_conflict_do_update(set_={"text": heard.text}))

    async def recall(self, chat: int, topic: int, last: int, limit: int) -> Recall:
        """The topic up to the message with the id `last`."""
        here = (Turn.chat == chat, Turn.topic == topic)
        end = select(Turn.id).where(Turn.chat == chat, Turn.message_id == last)
        said = select(Turn.user_id, Turn.role, Turn.text).where(
            *here, Turn.id <= end.scalar_subquery()
        )
        own = select(Turn.text).where(*here, Turn.role == Role.PERSONA.value)
        async with self._transaction() as db:
            rows = (db.execute(said.order_by(Turn.id.desc()).limit(limit))).all()
            texts = (db.execute(own.order_by(Turn.id.desc()).limit(LATELY))).scalars()
            denied = (db.execute(select(Denied.key))).scalars()
            return Recall(list(reversed(rows)), frozenset(map(key, texts)), frozenset(denied))

    async def settings(self, chat: int, topic: int) -> ChatSettings:
        """The topic's own, else the chat's."""
        query = select(_settings(chat, topic).label("topic"), _settings(chat, 0).label("chat"))
        async with self._transaction() as db:
            row = (db.execute(query)).one()
        return ChatSettings.model_validate(row.topic or row.chat or {})


def in_a_row(chat: int, topic: int, but: int = 0) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """`bots`: messages of bots since a person's last one; `others`: how many other bots wrote."""
    here = (Turn.chat == chat, Turn.topic == topic, Turn.message_id != but)
    person = select(func.coalesce(func.max(Turn.id), 0)).where(*here, ~Turn.is_bot)
    row = and_(*here, Turn.is_bot, Turn.id > person.scalar_subquery())
    others = and_(row, Turn.role == Role.OTHER.value)
    return (
        select(func.count()).select_from(Turn).where(row).scalar_subquery().label("bots"),
        select(func.count(distinct(Turn.user_id))).where(others).scalar_subquery().label("others"),
    )


def _settings(chat: int, topic: int) -> Any:
    return select(Chat.settings).where(Chat.chat == chat, Chat.topic == topic).scalar_subquery()


def _before(heard: Heard) -> Any:
    this = (Turn.chat == heard.chat, Turn.message_id == heard.message_id)
    return select(Turn.reason).where(*this).scalar_subquery()


def _joined(heard: Heard) -> Any:
    return exists().where(
        Turn.chat == heard.chat,
        Turn.topic == heard.topic,
        Turn.user_id == heard.user_id,
        Turn.message_id != heard.message_id,
        Turn.reason == Reason.JOINED.value,
        Turn.at > heard.at - JOINS,
    )


def _album(heard: Heard) -> Any:
    if heard.album is None:
        return literal(False)
    return exists().where(
        Turn.chat == heard.chat,
        Turn.album == heard.album,
        Turn.message_id != heard.message_id,
        Turn.reason.in_(SPEAKS),
    )


def _asked(heard: Heard, now: float) -> Any:
    return (
        select(func.count())
        .select_from(Turn)
        .where(
            Turn.user_id == heard.user_id,
            Turn.at > now - 3600,
            Turn.reason.in_(ASKED),
            (Turn.chat != heard.chat) | (Turn.message_id != heard.message_id),
        )
        .scalar_subquery()
    )


def _unasked(heard: Heard, now: float) -> Any:
    return (
        select(func.count())
        .select_from(Turn)
        .where(
            Turn.chat == heard.chat,
            Turn.at > now - 60,
            Turn.reason.in_(UNASKED),
            Turn.message_id != heard.message_id,
        )
        .scalar_subquery()
    )


def _repeated(db: Connection, heard: Heard) -> bool:
    """Whether a bot, ours or another, said the same lately."""
    bots = select(Turn.text).where(
        Turn.chat == heard.chat,
        Turn.topic == heard.topic,
        Turn.is_bot,
        Turn.message_id != heard.message_id,
    )
    said = (db.execute(bots.order_by(Turn.id.desc()).limit(LATELY))).scalars()
    return repeats(heard.text, frozenset(map(key, said)))
