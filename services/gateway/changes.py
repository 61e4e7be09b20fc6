"""Changes that an answer commits with itself. Each may be made twice and has done it once.

One that gives up planned messages returns how many.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from services.gateway.answer import Change
from services.gateway.decision import ChatSettings, Reason
from services.gateway.repeats import key
from services.gateway.tables import Ask, Chat, Denied, Outbox, Turn, Update

WHOLE_BOT = 0
"""The chat whose settings are the bot's own."""

WAITED = 600.0
"""Seconds after which no message waits for its sender's next any more."""

_DECIDED = (
    update(Turn)
    .where(Turn.chat == bindparam("in_chat"), Turn.message_id == bindparam("message"))
    .values(reason=bindparam("why"))
)
_ANSWERED = (
    update(Turn)
    .where(
        Turn.chat == bindparam("in_chat"),
        Turn.topic == bindparam("in_topic"),
        Turn.user_id == bindparam("sender"),
        Turn.at > bindparam("since"),
        Turn.reason == Reason.JOINED.value,
    )
    .values(reason=Reason.BURST.value)
)
_HAD = insert(Ask)


def settings(chat: int, topic: int, wanted: ChatSettings) -> Change:
    """The chat's or topic's settings from now on."""

    def change(db: Connection) -> None:
        _put(db, chat, topic, wanted.model_dump(mode="json"))

    return change


def opted_out(out: bool) -> Change:
    """The bot answers nobody from now on, or everybody again."""

    def change(db: Connection) -> None:
        _put(db, WHOLE_BOT, 0, {"opted_out": out})

    return change


def decided(chat: int, message_id: int, reason: Reason) -> Change:
    """Why a message that is in the history was answered or not, anew."""

    def change(db: Connection) -> None:
        db.execute(_DECIDED, {"in_chat": chat, "message": message_id, "why": reason.value})

    return change


def joined_are_answered(chat: int, topic: int, sender: int, at: float) -> Change:
    """What waited to be answered with the sender's message of that time has been."""

    def change(db: Connection) -> None:
        db.execute(
            _ANSWERED, {"in_chat": chat, "in_topic": topic, "sender": sender, "since": at - WAITED}
        )

    return change


def reset(chat: int, topic: int) -> Change:
    """Forget the topic's conversation."""

    def change(db: Connection) -> None:
        db.execute(delete(Turn).where(Turn.chat == chat, Turn.topic == topic))

    return change


def had(user_id: int, chat: int, kind: str, now: float) -> Change:
    """Somebody had something of the bot that there is a limit to."""

    def change(db: Connection) -> None:
        db.execute(_HAD, {"user_id": user_id, "chat": chat, "kind": kind, "at": now})

    return change


def deny(chat: int, message_id: int, text: str, now: float, everywhere: bool) -> Change:
    """Take what the bot said out of the history, and never say it again there, or anywhere."""

    def change(db: Connection) -> None:
        db.execute(delete(Turn).where(Turn.chat == chat, Turn.message_id == message_id))
        where = WHOLE_BOT if everywhere else chat
        row = upsert(Denied).values(chat=where, key=key(text), at=now)
        db.execute(row.on_conflict_do_nothing())

    return change


def forget(user_id: int, update_id: int) -> Change:
    """Delete what a person wrote but for later updates, and what was to be answered to it."""

    def change(db: Connection) -> int:
        db.execute(delete(Turn).where(Turn.user_id == user_id))
        theirs = (Update.sender == user_id, Update.update_id < update_id)
        db.execute(update(Update).where(*theirs).values(state="done", payload="", sender=0))
        return _give_up(db, Outbox.asker == user_id)

    return change


def forgotten_before(times: Iterable[tuple[int, float]]) -> Change:
    """Delete what people wrote before they asked to be forgotten, which a backup may bring back."""
    listed = list(times)

    def change(db: Connection) -> None:
        for user_id, at in listed:
            db.execute(delete(Turn).where(Turn.user_id == user_id, Turn.at < at))
            theirs = (Update.sender == user_id, Update.taken_at < at)
            db.execute(update(Update).where(*theirs).values(state="done", payload="", sender=0))
            _give_up(db, Outbox.asker == user_id, Outbox.planned_at < at)

    return change


def _give_up(db: Connection, *answers: Any) -> int:
    """Let nothing be sent of them, and keep no word; returns how many were still planned."""
    these = update(Outbox).where(*answers)
    given_up = db.execute(these.where(Outbox.state == "planned").values(state="failed")).rowcount
    db.execute(these.where(Outbox.state == "sending").values(state="failed"))
    db.execute(these.values(text="", asker=0))
    return given_up


def left(chat: int) -> Change:
    """The bot was put out of the chat: nothing planned can be sent there."""

    def change(db: Connection) -> int:
        there = (Outbox.chat == chat, Outbox.state == "planned")
        return db.execute(update(Outbox).where(*there).values(state="failed")).rowcount

    return change


def migrated(old: int, new: int) -> Change:
    """A group became a supergroup: settings go along once, history and unsent messages always.

    Message ids begin anew there, so those of before are kept below zero.
    """

    def change(db: Connection) -> None:
        known = select(Chat.chat).where(Chat.chat == old, Chat.migrated_to == new)
        if (db.execute(known)).first() is None:
            _move_settings(db, old, new)
        db.execute(
            update(Turn).prefix_with("OR IGNORE").where(Turn.chat == old)
            .values(chat=new, message_id=-func.abs(Turn.message_id))
        )  # fmt: skip
        db.execute(
            update(Outbox).where(Outbox.chat == old, Outbox.state == "planned")
            .values(chat=new, reply_to=0)
        )  # fmt: skip
        denied = update(Denied).prefix_with("OR IGNORE").where(Denied.chat == old)
        db.execute(denied.values(chat=new))
        db.execute(update(Ask).where(Ask.chat == old).values(chat=new))

    return change


def _move_settings(db: Connection, old: int, new: int) -> None:
    query = select(Chat.topic, Chat.settings).where(Chat.chat == old)
    for topic, found in (db.execute(query)).all():
        _put(db, new, topic, found)
    row = upsert(Chat).values(chat=old, topic=0, settings={}, migrated_to=new)
    db.execute(row.on_conflict_do_update(set_={"migrated_to": new}))


def _put(db: Connection, chat: int, topic: int, values: dict[str, Any]) -> None:
    row = upsert(Chat).values(chat=chat, topic=topic, settings=values)
    db.execute(row.on_conflict_do_update(set_={"settings": values}))
