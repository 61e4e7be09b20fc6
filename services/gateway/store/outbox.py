"""The outbox: calls from planned to sent.

A row that says how others went is `waiting` until that is known.

A row taken from `sending` back to `planned` may be sent twice: `recover` returns how many were.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from services.gateway.answer import Outgoing, Silence

KEEP_SENT_SECONDS = 2 * 86_400.0
"""Time for which what was sent is kept, so that nothing is planned twice."""
Queue = tuple[int, bool]
"""A chat's messages, or its other calls."""
LATE_SECONDS = 3.0
"""Time after which somebody hears that what they asked for is still being tried."""


@dataclass(frozen=True)
class Planned:
    """A row of the outbox, due or not.

    attempts      how often it was tried before
    extra         further parameters of the call, as JSON
    taken_at      when the update that it answers was stored; None when that is pruned already
    others_wrote  somebody else has written since the message that it answers, or waits to be read
    """

    id: int
    update_id: int
    part: int
    chat: int
    topic: int
    method: str
    text: str
    extra: str
    reply_to: int
    spoken: bool
    asker: int
    to_bot: bool
    not_before: float
    planned_at: float
    attempts: int
    taken_at: float | None
    others_wrote: bool

    @property
    def is_message(self) -> bool:
        return self.method == "sendMessage"

    @property
    def quoted(self) -> int:
        """The message to which it replies for all to see; 0 where nobody needs to be told."""
        return self.reply_to if self.others_wrote or not self.spoken else 0

    @property
    def is_talk(self) -> bool:
        """It answers what somebody said, not a command."""
        return self.spoken or self.asker != 0


def plan(db: Connection, update_id: int, calls: Sequence[Outgoing], now: float) -> None:
    query = """INSERT INTO outbox (update_id, part, chat, topic, method, text, extra, reply_to,
        spoken, asker, to_bot, not_before, planned_at, only_if, state) VALUES (:update_id, :part,
        :chat, :topic, :method, :text, :extra, :reply_to, :spoken, :asker, :to_bot, :now + :after,
        :now, :only_if, iif(:only_if = '', 'planned', 'waiting'))"""
    for part, each in enumerate(calls):
        known = {"extra": json.dumps(each.extra), "update_id": update_id, "part": part, "now": now}
        db.execute(query, vars(each) | known)


def recover(db: Connection) -> int:
    """Plan again what was being sent when the process died; return how many rows."""
    return db.execute("UPDATE outbox SET state = 'planned' WHERE state = 'sending'").rowcount


def planned_queues(db: Connection) -> list[Queue]:
    """Return the queues in which something is planned."""
    query = "SELECT DISTINCT chat, method = 'sendMessage' FROM outbox WHERE state = 'planned'"
    return [(chat, bool(is_message)) for chat, is_message in db.execute(query)]


def count(db: Connection, states: Sequence[str] = ("planned",)) -> int:
    query = "SELECT count(*) FROM outbox WHERE state IN (SELECT value FROM json_each(?))"
    return int(db.execute(query, (json.dumps(states),)).fetchone()[0])


def next_planned(db: Connection, chat: int, is_message: bool) -> Planned | None:
    """Return the call to make next: answers to commands stand before talk that is being typed."""
    row = db.execute(
        """SELECT o.id, o.update_id, o.part, o.chat, o.topic, o.method, o.text, o.extra,
        o.reply_to, o.spoken, o.asker, o.to_bot, o.not_before, o.planned_at, o.attempts,
        (SELECT taken_at FROM updates u WHERE u.update_id = o.update_id),
        EXISTS (SELECT 1 FROM turns t WHERE o.reply_to AND t.chat = o.chat AND t.topic = o.topic
            AND t.role = 'other' AND t.message_id > o.reply_to AND t.user_id != o.asker)
        OR EXISTS (SELECT 1 FROM updates u WHERE u.chat = o.chat AND u.topic = o.topic
            AND u.state = 'new' AND u.update_id > o.update_id AND u.sender != o.asker)
        FROM outbox o WHERE o.chat = ? AND o.state = 'planned' AND (o.method = 'sendMessage') = ?
        ORDER BY o.spoken OR o.asker, o.id LIMIT 1""",
        (chat, is_message),
    ).fetchone()
    return Planned(*row) if row else None


def mark_sending(db: Connection, row: Planned) -> None:
    """From now on it may have been sent."""
    query = "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?"
    db.execute(query, (row.id,))


def mark_sent(db: Connection, row: Planned, message_id: int, now: float) -> list[Queue]:
    """Return the queues in which that is to be told."""
    query = "UPDATE outbox SET state = 'sent', message_id = ?, text = '', extra = '{}' WHERE id = ?"
    db.execute(query, (message_id, row.id))
    return _release(db, row.update_id, now)


def mark_failed(db: Connection, row: Planned, now: float) -> list[Queue]:
    """Return the queues in which that is to be told."""
    db.execute("UPDATE outbox SET state = 'failed' WHERE id = ?", (row.id,))
    return _release(db, row.update_id, now)


def postpone(db: Connection, row: Planned, now: float, seconds: float) -> list[Queue]:
    """Plan again what is being sent, unless it was forgotten meanwhile.

    Returns the queues in which that is to be told.
    """
    db.execute(
        """UPDATE outbox SET state = 'planned', not_before = ?, planned_at = min(planned_at, ?)
        WHERE id = ? AND state = 'sending'""",
        (now + seconds, now, row.id),  # the clock may have been set back
    )
    return _release(db, row.update_id, now)


def _release(db: Connection, update_id: int, now: float) -> list[Queue]:
    """Plan what is to be said of how an answer's calls go; return its queues.

    One that was carried out is enough. If none was, it is said that they take long, once all have
    to wait for a while, and how they went when the last has ended.
    """
    query = "SELECT state, not_before - planned_at FROM outbox WHERE update_id = ? AND only_if = ''"
    calls = db.execute(query, (update_id,)).fetchall()
    waits = [wait for state, wait in calls if state in ("planned", "sending")]
    is_sent = any(state == "sent" for state, _ in calls)
    outcome = "sent" if is_sent else "late" if waits else "failed"
    if outcome == "late" and min(waits) <= LATE_SECONDS:
        return []
    query = """UPDATE outbox SET state = 'planned', planned_at = ?, not_before = ?
        WHERE update_id = ? AND state = 'waiting' AND only_if = ? RETURNING chat"""
    released = [(chat, True) for (chat,) in db.execute(query, (now, now, update_id, outcome))]
    if outcome != "late":
        query = "DELETE FROM outbox WHERE update_id = ? AND state = 'waiting'"
        db.execute(query, (update_id,))
    return released


def unspeak(db: Connection, chat: int, topic: int) -> int:
    """Keep what is about to be said there out of the history; return how many rows."""
    query = """UPDATE outbox SET spoken = 0 WHERE state IN ('planned', 'sending') AND spoken
        AND chat = ? AND topic = ?"""
    return db.execute(query, (chat, topic)).rowcount


def is_spoken(db: Connection, row: Planned) -> bool:
    """Whether it still belongs in the history."""
    query = "SELECT 1 FROM outbox WHERE id = ? AND spoken"
    return db.execute(query, (row.id,)).fetchone() is not None


def drop_talk(db: Connection, silence: Silence, apart: Collection[int]) -> None:
    """Give up what the bot is about to say and the silence ends.

    What is being sent may arrive, but is not sent again.
    """
    rows = db.execute(
        """SELECT id, chat, topic, update_id IN (
            SELECT o.update_id FROM outbox o JOIN turns t ON t.chat = o.chat
            AND t.message_id = o.reply_to WHERE t.reason IN ('insanity', 'chattiness'))
        FROM outbox WHERE state IN ('planned', 'sending') AND (spoken OR asker)"""
    )
    ended = [(row,) for row, *talk in rows if silence.ends(apart, *talk)]
    db.executemany("UPDATE outbox SET state = 'failed' WHERE id = ?", ended)


def forget(db: Connection, asker: int, before: float) -> None:
    """Give up what answers a person, and keep no word of it."""
    db.execute(
        """UPDATE outbox SET state = iif(state = 'sent', state, 'failed'), text = '', extra = '{}',
        asker = 0 WHERE asker = ? AND planned_at < ?""",
        (asker, before),
    )
