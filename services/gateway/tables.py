"""The store's tables; `migrations/` builds the same, and a test compares the two.

Rows hold what people wrote: they are personal data and never logged.
"""

from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Update(Base):
    """What Telegram sent, as it came, until it is handled. state: new | done | failed.

    chat, topic, sender   where and by whom, 0 where there is none
    """

    __tablename__ = "updates"
    __table_args__ = (
        Index("updates_state", "state"),
        Index("updates_taken", "taken_at", "update_id"),
    )

    update_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    payload: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    chat: Mapped[int]
    taken_at: Mapped[float]
    topic: Mapped[int] = mapped_column(server_default="0")
    sender: Mapped[int] = mapped_column(server_default="0")


class Turn(Base):
    """A message of a chat in the order of its handling. role: persona | other; topic 0 is none.

    reason   why it was answered or not, `decision.Reason`; empty for the persona's own
    album    the album that it is a part of
    """

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("chat", "message_id", name="turns_message"),
        Index("turns_topic", "chat", "topic", "id"),
        Index("turns_user", "user_id", "at"),
        Index("turns_at", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    chat: Mapped[int]
    topic: Mapped[int]
    message_id: Mapped[int]
    user_id: Mapped[int]
    role: Mapped[str]
    is_bot: Mapped[bool]
    text: Mapped[str]
    at: Mapped[float]
    reason: Mapped[str] = mapped_column(server_default="")
    album: Mapped[str | None]


class Chat(Base):
    """Settings of a chat (topic 0) or a topic, and the chat it became. Chat 0 is the whole bot."""

    __tablename__ = "chats"

    chat: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    topic: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    settings: Mapped[dict[str, Any]] = mapped_column(JSON)
    migrated_to: Mapped[int | None]


class Outbox(Base):
    """A message to send. state: planned | sending | sent | failed; reply_to 0 quotes nothing.

    spoken      the persona's own words, which become part of the history once sent
    planned_at  when it was committed; 0 in rows older than this column
    asker       whom it answers, 0 nobody
    to_bot      it answers a bot
    markup      the keyboard below it, as JSON
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("update_id", "part", name="outbox_part"),
        Index("outbox_state", "state", "chat"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    update_id: Mapped[int]
    part: Mapped[int]
    chat: Mapped[int]
    topic: Mapped[int]
    reply_to: Mapped[int]
    text: Mapped[str]
    spoken: Mapped[bool]
    state: Mapped[str]
    message_id: Mapped[int | None]
    not_before: Mapped[float]
    attempts: Mapped[int]
    planned_at: Mapped[float] = mapped_column(server_default="0")
    asker: Mapped[int] = mapped_column(server_default="0")
    to_bot: Mapped[bool] = mapped_column(server_default="0")
    markup: Mapped[str | None]


class Ask(Base):
    """What somebody had of the bot, for limits. kind: answer | unasked | command | limit_told |
    report."""

    __tablename__ = "asks"
    __table_args__ = (Index("asks_user", "user_id", "at"), Index("asks_chat", "chat", "at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    chat: Mapped[int]
    kind: Mapped[str]
    at: Mapped[float]


class Denied(Base):
    """What the bot must not say again in a chat, as `repeats.key` has it; chat 0 is everywhere."""

    __tablename__ = "denied"

    chat: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[float]
