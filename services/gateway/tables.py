"""The store's tables; `migrations/` builds the same, and a test compares the two.

Rows hold what people wrote: they are personal data and never logged.
"""

from sqlalchemy import JSON, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Update(Base):
    """What Telegram sent, as it came. state: new | done | failed; chat 0 where there is none."""

    __tablename__ = "updates"
    __table_args__ = (Index("updates_state", "state"),)

    update_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    payload: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int]
    chat: Mapped[int]
    taken_at: Mapped[float]


class Turn(Base):
    """A message of a chat in the order of its handling. role: persona | other; topic 0 is none."""

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("chat", "message_id", name="turns_message"),
        Index("turns_topic", "chat", "topic", "id"),
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


class Chat(Base):
    """A chat's settings (topic 0), and the chat it became."""

    __tablename__ = "chats"

    chat: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    topic: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    settings: Mapped[dict[str, bool]] = mapped_column(JSON)
    migrated_to: Mapped[int | None]


class Outbox(Base):
    """A message to send. state: planned | sending | sent | failed; reply_to 0 quotes nothing.

    spoken   the persona's own words, which become part of the history once sent
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
