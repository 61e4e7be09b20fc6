"""Updates: stored as they came, handled one by one, kept until their answer is committed."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, NamedTuple

from services.gateway.incoming import Message, Unreadable, Update, read_update

OFFSET_SECONDS = 6 * 86_400.0
"""After a quiet week Telegram may begin to count anew, so an offset older than this is not sent."""


@dataclass(frozen=True)
class Stored:
    """An update, when it was stored, and how many attempts at it the process did not survive."""

    payload: str
    taken_at: float
    crashes: int = 0

    def read(self) -> Update | None:
        """Raises Unreadable."""
        return read_update(json.loads(self.payload), self.taken_at)


class Arrival(NamedTuple):
    """An update to handle, what it says where that can be read, and whether the process died."""

    update_id: int
    update: Update | None
    has_crashed: bool = False


def store_updates(db: Connection, payloads: Sequence[Any], now: float) -> list[Arrival]:
    """Keep raw updates; one that is there already stays as it is, and what has no id is none.

    Chat, topic and sender are 0 where they cannot be told.
    """
    # a clock set back must not hide the newest update from next_offset
    at = max(now, db.execute("SELECT max(taken_at) FROM updates").fetchone()[0] or 0.0)
    arrivals = []
    for payload in payloads:
        if not (isinstance(payload, dict) and type(payload.get("update_id")) is int):
            continue
        # half a surrogate pair, which is no UTF-8, becomes a question mark
        text = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace").decode()
        arrival = Arrival(payload["update_id"], _readable(payload, at))
        place = (getattr(arrival.update, key, 0) for key in ("chat", "topic", "sender"))
        db.execute(
            """INSERT INTO updates (update_id, payload, taken_at, chat, topic, sender)
            VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET taken_at = excluded.taken_at""",
            (arrival.update_id, text, at, *place),
        )
        arrivals.append(arrival)
    return arrivals


def _readable(payload: dict[str, Any], now: float) -> Update | None:
    with suppress(Unreadable):
        return read_update(payload, now)
    return None


def next_offset(db: Connection, now: float) -> int | None:
    """Return the update to ask for next; None asks for whatever Telegram still keeps."""
    row = db.execute(
        "SELECT taken_at, update_id FROM updates ORDER BY taken_at DESC, update_id DESC LIMIT 1"
    ).fetchone()
    return None if row is None or now - row[0] > OFFSET_SECONDS else int(row[1]) + 1


def count_waiting(db: Connection) -> int:
    return int(db.execute("SELECT count(*) FROM updates WHERE state = 'new'").fetchone()[0])


def waiting(db: Connection) -> list[Arrival]:
    """Return every update that is not handled yet, in order."""
    query = """SELECT update_id, payload, taken_at, crashes FROM updates WHERE state = 'new'
        ORDER BY update_id"""
    return [
        Arrival(update_id, _readable(json.loads(payload), taken_at), crashes > 0)
        for update_id, payload, taken_at, crashes in db.execute(query)
    ]


def begin(db: Connection, update_id: int) -> Stored | None:
    """Return an update that is not handled yet, counted as a crash until its attempt ends."""
    row = db.execute(
        """UPDATE updates SET crashes = crashes + 1 WHERE update_id = ? AND state = 'new'
        RETURNING payload, taken_at, crashes - 1""",
        (update_id,),
    ).fetchone()
    return Stored(*row) if row else None


def end_attempt(db: Connection, update_id: int, failed: bool) -> int:
    """Note that the process survived the attempt; return how many attempts failed so far."""
    row = db.execute(
        """UPDATE updates SET crashes = crashes - 1, failures = failures + ? WHERE update_id = ?
        RETURNING failures""",
        (failed, update_id),
    ).fetchone()
    return int(row[0]) if row else 0


def end(db: Connection, update_id: int, state: str) -> bool:
    """End an update and drop its payload; False where that has been done already."""
    query = "UPDATE updates SET state = ?, payload = '' WHERE update_id = ? AND state = 'new'"
    return db.execute(query, (state, update_id)).rowcount > 0


def is_new(db: Connection, update_id: int) -> bool:
    query = "SELECT 1 FROM updates WHERE update_id = ? AND state = 'new'"
    return db.execute(query, (update_id,)).fetchone() is not None


def later_messages(db: Connection, update_id: int, message: Message) -> Iterator[Message]:
    """What the message's sender wrote after it in the same place and is not handled yet.

    Comments on two posts are in two places.
    """
    rows = db.execute(
        """SELECT payload, taken_at FROM updates WHERE state = 'new' AND update_id > :update_id
        AND chat = :chat AND topic = :topic AND sender = :sender ORDER BY update_id""",
        {**message.facts(), "update_id": update_id},
    )
    updates = (Stored(*row).read() for row in rows)
    found = (each for each in updates if isinstance(each, Message))
    return (each for each in found if not each.post or message.post in (0, each.post))


def end_talk(db: Connection, chat: int, topic: int, before_id: int) -> int:
    """End what people said there in updates with a lower id; return how many."""
    rows = db.execute(
        """SELECT update_id, payload, taken_at FROM updates WHERE state = 'new' AND chat = ?
        AND topic = ? AND update_id < ?""",
        (chat, topic, before_id),
    ).fetchall()
    updates = ((update_id, Stored(*stored).read()) for update_id, *stored in rows)
    talk = (each for each, said in updates if isinstance(said, Message) and not said.is_move)
    return sum(end(db, update_id, "done") for update_id in talk)


def prune(db: Connection, before: float, limit: int) -> int:
    """Delete handled updates, but not the one that next_offset counts from; return how many."""
    return db.execute(
        """DELETE FROM updates WHERE update_id IN (
        SELECT update_id FROM updates WHERE state != 'new' AND taken_at < ? AND update_id !=
        (SELECT update_id FROM updates ORDER BY taken_at DESC, update_id DESC LIMIT 1) LIMIT ?)""",
        (before, limit),
    ).rowcount


def forget(db: Connection, user_id: int, before_id: int, before: float, limit: int) -> int:
    """Drop updates of a person with a lower id, stored before that time; return how many."""
    return db.execute(
        """UPDATE updates SET state = 'done', payload = '', sender = 0 WHERE update_id IN (
        SELECT update_id FROM updates WHERE sender = ? AND update_id < ? AND taken_at < ?
        LIMIT ?)""",
        (user_id, before_id, before, limit),
    ).rowcount
