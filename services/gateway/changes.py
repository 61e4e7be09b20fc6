"""Changes that an answer commits with itself. Each may be made twice and has done it once."""

from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.gateway.answer import Change
from services.gateway.decision import ChatSettings, Reason
from services.gateway.repeats import key
from services.gateway.tables import Chat, Denied, Outbox, Turn, Update

WHOLE_BOT = 0
"""The chat whose settings are the bot's own."""


def settings(chat: int, topic: int, wanted: ChatSettings) -> Change:
    """The chat's or topic's settings from now on."""

    async def change(db: AsyncConnection) -> None:
        await _put(db, chat, topic, wanted.model_dump(mode="json"))

    return change


def opted_out(out: bool) -> Change:
    """The bot answers nobody from now on, or everybody again."""

    async def change(db: AsyncConnection) -> None:
        await _put(db, WHOLE_BOT, 0, {"opted_out": out})

    return change


def decided(chat: int, message_id: int, reason: Reason) -> Change:
    """Why a message that is in the history was answered or not, anew."""

    async def change(db: AsyncConnection) -> None:
        this = (Turn.chat == chat, Turn.message_id == message_id)
        await db.execute(update(Turn).where(*this).values(reason=reason.value))

    return change


def joined_are_answered(chat: int, topic: int, sender: int) -> Change:
    """What waited to be answered with the sender's next message has been."""

    async def change(db: AsyncConnection) -> None:
        theirs = (Turn.chat == chat, Turn.topic == topic, Turn.user_id == sender)
        waiting = Turn.reason == Reason.JOINED.value
        await db.execute(update(Turn).where(*theirs, waiting).values(reason=Reason.BURST.value))

    return change


def reset(chat: int, topic: int) -> Change:
    """Forget the topic's conversation."""

    async def change(db: AsyncConnection) -> None:
        await db.execute(delete(Turn).where(Turn.chat == chat, Turn.topic == topic))

    return change


def deny(chat: int, message_id: int, text: str, now: float) -> Change:
    """Take what the bot said out of the history, and never say it again."""

    async def change(db: AsyncConnection) -> None:
        await db.execute(delete(Turn).where(Turn.chat == chat, Turn.message_id == message_id))
        row = upsert(Denied).values(key=key(text), at=now)
        await db.execute(row.on_conflict_do_nothing())

    return change


def forget(user_id: int) -> Change:
    """Delete what a person wrote, and what was to be answered to it."""

    async def change(db: AsyncConnection) -> None:
        await db.execute(delete(Turn).where(Turn.user_id == user_id))
        theirs = Update.sender == user_id
        await db.execute(update(Update).where(theirs, Update.state == "new").values(state="done"))
        await db.execute(update(Update).where(theirs).values(payload=""))
        answers = update(Outbox).where(Outbox.asker == user_id)
        await db.execute(answers.where(Outbox.state == "planned").values(state="failed"))
        await db.execute(answers.where(Outbox.state != "sending").values(text=""))

    return change


def left(chat: int) -> Change:
    """The bot was put out of the chat: nothing planned can be sent there."""

    async def change(db: AsyncConnection) -> None:
        there = (Outbox.chat == chat, Outbox.state == "planned")
        await db.execute(update(Outbox).where(*there).values(state="failed"))

    return change


def migrated(old: int, new: int) -> Change:
    """A group became a supergroup: settings go along once, history and unsent messages always.

    Message ids begin anew there, so those of before are kept below zero.
    """

    async def change(db: AsyncConnection) -> None:
        known = select(Chat.chat).where(Chat.chat == old, Chat.migrated_to == new)
        if (await db.execute(known)).first() is None:
            await _move_settings(db, old, new)
        await db.execute(
            update(Turn).prefix_with("OR IGNORE").where(Turn.chat == old)
            .values(chat=new, message_id=-func.abs(Turn.message_id))
        )  # fmt: skip
        await db.execute(
            update(Outbox).where(Outbox.chat == old, Outbox.state == "planned")
            .values(chat=new, reply_to=0)
        )  # fmt: skip

    return change


async def _move_settings(db: AsyncConnection, old: int, new: int) -> None:
    query = select(Chat.topic, Chat.settings).where(Chat.chat == old)
    for topic, found in (await db.execute(query)).all():
        await _put(db, new, topic, found)
    row = upsert(Chat).values(chat=old, topic=0, settings={}, migrated_to=new)
    await db.execute(row.on_conflict_do_update(set_={"migrated_to": new}))


async def _put(db: AsyncConnection, chat: int, topic: int, values: dict[str, Any]) -> None:
    row = upsert(Chat).values(chat=chat, topic=topic, settings=values)
    await db.execute(row.on_conflict_do_update(set_={"settings": values}))
