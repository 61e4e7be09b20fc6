"""What belongs to chats and people: settings, words not to say, limits, and chats that moved."""

import json
from collections import Counter
from sqlite3 import Connection

from services.gateway.incoming import Message
from services.gateway.reasons import ChatSettings
from services.gateway.store.database import BATCH
from services.gateway.store.same_words import denial_key
from services.gateway.telegram import RepliedTo

WHOLE_BOT = 0
"""The chat whose settings and forbidden words hold for the bot everywhere."""


def settings(db: Connection, chat: int, topic: int) -> ChatSettings | None:
    """Return the topic's own settings, else the chat's; None where nobody has set any."""
    row = db.execute(
        """SELECT settings FROM chats WHERE chat = ? AND topic IN (0, ?) AND settings != '{}'
        ORDER BY topic DESC LIMIT 1""",
        (chat, topic),
    ).fetchone()
    return ChatSettings.model_validate_json(row[0]) if row else None


def topics_apart(db: Connection, chat: int) -> set[int]:
    """Return the topics with settings of their own."""
    query = "SELECT topic FROM chats WHERE chat = ? AND settings != '{}'"
    return {topic for (topic,) in db.execute(query, (chat,))}


def set_settings(db: Connection, chat: int, topic: int, wanted: ChatSettings) -> None:
    _put_settings(db, chat, topic, wanted.model_dump_json())


def _put_settings(db: Connection, chat: int, topic: int, values: str) -> None:
    db.execute(
        """INSERT INTO chats (chat, topic, settings) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET settings = excluded.settings""",
        (chat, topic, values),
    )


def opt_out(db: Connection, is_out: bool) -> None:
    """Answer nobody from now on, or everybody again."""
    _put_settings(db, WHOLE_BOT, 0, json.dumps({"opted_out": is_out}))


def is_opted_out(db: Connection) -> bool:
    query = "SELECT settings ->> 'opted_out' FROM chats WHERE chat = ?"
    row = db.execute(query, (WHOLE_BOT,)).fetchone()
    return bool(row and row[0])


def count_insane(db: Connection) -> int:
    """Return the number of chats and topics in which insanity is switched on."""
    query = "SELECT count(*) FROM chats WHERE settings ->> 'insane' AND migrated_to IS NULL"
    return int(db.execute(query).fetchone()[0])


def migrate(db: Connection, old: int, new: int) -> int:
    """A group became a supergroup: move some of its history; return how many messages.

    Settings go along once, unsent messages always. Message ids begin anew there, so those of the
    old group are kept below zero.
    """
    if old == new:
        return 0
    query = "SELECT 1 FROM chats WHERE chat = ? AND migrated_to = ?"
    if db.execute(query, (old, new)).fetchone() is None:
        known = db.execute("SELECT topic, settings FROM chats WHERE chat = ?", (old,)).fetchall()
        for topic, values in known:
            _put_settings(db, new, topic, values)
        db.execute(
            """INSERT INTO chats VALUES (?, 0, '{}', ?)
            ON CONFLICT DO UPDATE SET migrated_to = excluded.migrated_to""",
            (old, new),
        )
    for change in (
        "UPDATE outbox SET chat = ?, reply_to = 0 WHERE chat = ? AND state = 'planned'",
        "UPDATE OR IGNORE denied SET chat = ? WHERE chat = ?",
        "UPDATE asks SET chat = ? WHERE chat = ?",
    ):
        db.execute(change, (new, old))
    some = f"SELECT id FROM turns WHERE chat = ? LIMIT {BATCH}"  # noqa: S608
    change = "UPDATE OR REPLACE turns SET chat = ?, message_id = -abs(message_id), reply_to = 0"
    return db.execute(f"{change} WHERE id IN ({some})", (new, old)).rowcount


def is_upgraded(db: Connection, chat: int) -> bool:
    """Whether the supergroup was a group that the bot knew."""
    query = "SELECT 1 FROM chats WHERE migrated_to = ?"
    return db.execute(query, (chat,)).fetchone() is not None


def deny(db: Connection, chat: int, said: RepliedTo, now: float, everywhere: bool) -> None:
    """Take what the bot said out of the history, and never say it again there, or anywhere."""
    db.execute("DELETE FROM turns WHERE chat = ? AND message_id = ?", (chat, said.message_id))
    where = WHOLE_BOT if everywhere else chat
    db.execute("INSERT OR IGNORE INTO denied VALUES (?, ?, ?)", (where, denial_key(said.text), now))


def is_denied(db: Connection, chat: int, text: str) -> bool:
    query = "SELECT 1 FROM denied WHERE words = ? AND chat IN (?, ?)"
    return db.execute(query, (denial_key(text), WHOLE_BOT, chat)).fetchone() is not None


def add_ask(db: Connection, message: Message, kind: str, now: float) -> None:
    """Count that a message's sender got something from the bot that there is a limit to."""
    query = "INSERT INTO asks (user_id, chat, kind, at) VALUES (?, ?, ?, ?)"
    db.execute(query, (message.sender, message.chat, kind, now))


def count_asks(db: Connection, column: str, value: int, since: float, until: float) -> Counter[str]:
    """Return how often a person (`user_id`) or a `chat` got what in that time.

    Rows later than now are there where a clock was set back.
    """
    query = f"SELECT kind FROM asks WHERE {column} = ? AND at BETWEEN ? AND ?"  # noqa: S608
    return Counter(kind for (kind,) in db.execute(query, (value, since, until)))
