"""The history: what was said where, and what of it a decision and a reply rest on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Select,
    bindparam,
    distinct,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from contracts.turn import Role
from services.gateway.changes import WHOLE_BOT
from services.gateway.decision import SPEAKS, ChatSettings, Reason, View
from services.gateway.repeats import LATELY, key, repeats
from services.gateway.tables import Ask, Chat, Denied, Turn, Update

Transaction = Callable[..., AbstractAsyncContextManager[Connection]]
ALBUM = 20
"""Its parts lie less than so many messages apart; it has ten at most."""
JOINS = 60.0
"""Seconds within which a message that waits for its sender's next is answered with it."""


_CHAT, _TOPIC = Turn.chat == bindparam("chat"), Turn.topic == bindparam("topic")
_OTHER_ONE = Turn.message_id != bindparam("message_id")
_SENDERS = Turn.user_id == bindparam("user_id")
_OWN_ROLE = Turn.role == Role.PERSONA.value


def _count(*where: Any) -> ScalarSelect[int]:
    return select(func.count()).select_from(Turn).where(*where).scalar_subquery()


def _asks(*where: Any) -> Select[int]:
    return select(func.count()).select_from(Ask).where(*where)


def _settings_of(chat: Any, topic: Any) -> Any:
    return select(Chat.settings).where(Chat.chat == chat, Chat.topic == topic).scalar_subquery()


def _row_of_bots(*but: Any) -> tuple[Any, Any]:
    # not max(): this one ends at the first that it finds, from the newest on
    person = select(Turn.id).where(_CHAT, _TOPIC, *but, ~Turn.is_bot).order_by(Turn.id.desc())
    last = func.coalesce(person.limit(1).scalar_subquery(), 0)
    row = (_CHAT, _TOPIC, *but, Turn.is_bot, Turn.id > last)
    others = select(func.count(distinct(Turn.user_id))).where(*row, ~_OWN_ROLE)
    return _count(*row).label("bots"), others.scalar_subquery().label("others")


IN_A_ROW = _row_of_bots()
"""Of `chat` and `topic`: messages of bots since a person's last one, and how many others wrote."""
BOT_SETTINGS = _settings_of(WHOLE_BOT, 0)
HERE_SETTINGS = (
    _settings_of(bindparam("chat"), bindparam("topic")).label("of_topic"),
    _settings_of(bindparam("chat"), 0).label("of_chat"),
)
_SETTINGS = select(*HERE_SETTINGS)
_INSANE = (
    select(func.count())
    .select_from(Chat)
    .where(Chat.settings["insane"].as_boolean(), Chat.migrated_to.is_(None))
)
_IN_HOUR = _asks(
    Ask.user_id == bindparam("user_id"), Ask.at.between(bindparam("hour_ago"), bindparam("now"))
)
"""What stands later than now was written before the clock was set back."""
_VIEW = _SETTINGS.add_columns(
    BOT_SETTINGS.label("of_bot"),
    select(Turn.reason)
    .where(_CHAT, Turn.message_id == bindparam("message_id"))
    .scalar_subquery()
    .label("before"),
    *_row_of_bots(_OTHER_ONE),
    exists()
    .where(_CHAT, _TOPIC, _SENDERS, _OTHER_ONE, Turn.reason == Reason.JOINED.value)
    .where(Turn.at > bindparam("at") - JOINS)
    .label("joined"),
    exists()
    .where(_CHAT, Turn.album == bindparam("album"), _OTHER_ONE, Turn.reason.in_(sorted(SPEAKS)))
    .where(Turn.message_id > bindparam("message_id") - ALBUM)
    .where(Turn.message_id < bindparam("message_id") + ALBUM)
    .label("in_album"),
    _IN_HOUR.where(Ask.kind.in_(("answer", "unasked"))).scalar_subquery().label("answers_in_hour"),
    _IN_HOUR.where(Ask.kind == "command").scalar_subquery().label("commands_in_hour"),
    _IN_HOUR.where(Ask.kind == "limit_told").scalar_subquery().label("limit_told"),
    _asks(Ask.chat == bindparam("chat"), Ask.at.between(bindparam("minute_ago"), bindparam("now")))
    .where(Ask.kind == "unasked")
    .scalar_subquery()
    .label("unasked_in_minute"),
)
_END = select(Turn.id).where(_CHAT, Turn.message_id == bindparam("last")).scalar_subquery()
_SAID = (
    select(Turn.user_id, Turn.role, Turn.text)
    .where(_CHAT, _TOPIC, Turn.id <= _END)
    .order_by(Turn.id.desc())
    .limit(bindparam("limit"))
)
_LATEST = select(Turn.text).where(_CHAT, _TOPIC).order_by(Turn.id.desc()).limit(LATELY)
_OWN = _LATEST.where(_OWN_ROLE)
_BY_BOTS = _LATEST.where(Turn.is_bot, _OTHER_ONE)
_PERSONA = select(Turn.user_id).where(_OWN_ROLE).order_by(Turn.id.desc()).limit(1)
_STILL_NEW = select(Update.update_id).where(
    Update.update_id == bindparam("id"), Update.state == "new"
)
_hear = upsert(Turn)
_HEAR = _hear.on_conflict_do_update(set_={"text": _hear.excluded.text})
_DENIED = select(Denied.key).where(Denied.chat.in_((WHOLE_BOT, bindparam("chat"))))


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
        values = {**vars(heard), "now": now, "hour_ago": now - 3600, "minute_ago": now - 60}
        async with self._transaction() as db:
            row = db.execute(_VIEW, values).one()
            repeated = heard.is_bot and _repeated(db, heard)
        return View(
            settings=settings_in(row),
            opted_out=bool((row.of_bot or {}).get("opted_out")),
            before=row.before,
            bots=row.bots,
            other_bots=max(row.others, int(heard.is_bot)),
            repeated=repeated,
            joined=bool(row.joined),
            album=bool(row.in_album),
            answers_in_hour=row.answers_in_hour,
            commands_in_hour=row.commands_in_hour,
            limit_told=bool(row.limit_told),
            unasked_in_minute=row.unasked_in_minute,
        )

    async def remember(self, heard: Heard, reason: Reason, update_id: int) -> None:
        """Add a message to the history once; one that was edited gets its new text.

        Not one whose update is ended: its sender has been forgotten meanwhile.
        """
        values = {**vars(heard), "role": Role.OTHER.value, "reason": reason.value}
        async with self._transaction() as db:
            if db.execute(_STILL_NEW, {"id": update_id}).first():
                db.execute(_HEAR, values)

    async def recall(self, chat: int, topic: int, last: int, limit: int) -> Recall:
        """The topic up to the message with the id `last`."""
        here = {"chat": chat, "topic": topic}
        async with self._transaction() as db:
            rows = db.execute(_SAID, {**here, "last": last, "limit": limit}).all()
            texts = db.execute(_OWN, here).scalars()
            denied = db.execute(_DENIED, here).scalars()
            return Recall(list(reversed(rows)), frozenset(map(key, texts)), frozenset(denied))

    async def persona(self) -> int | None:
        """The bot's id as of what it said last."""
        async with self._transaction() as db:
            return db.execute(_PERSONA).scalar()

    async def had(self, user_id: int, kind: str, since: float) -> int:
        """How often somebody had something of the bot."""
        query = _asks(Ask.user_id == user_id, Ask.kind == kind, Ask.at > since)
        async with self._transaction() as db:
            return int(db.execute(query).scalar_one())

    async def settings(self, chat: int, topic: int) -> ChatSettings:
        """The topic's own, else the chat's."""
        async with self._transaction() as db:
            row = db.execute(_SETTINGS, {"chat": chat, "topic": topic}).one()
        return settings_in(row)

    async def insane(self) -> int:
        """Chats and topics in which insanity is on."""
        async with self._transaction() as db:
            return int(db.execute(_INSANE).scalar_one())


def settings_in(row: Any) -> ChatSettings:
    """The topic's own, else the chat's, of a row with HERE_SETTINGS."""
    return ChatSettings.model_validate(row.of_topic or row.of_chat or {})


def _repeated(db: Connection, heard: Heard) -> bool:
    """Whether a bot, ours or another, said the same lately."""
    said = db.execute(_BY_BOTS, vars(heard)).scalars()
    return repeats(heard.text, frozenset(map(key, said)))
