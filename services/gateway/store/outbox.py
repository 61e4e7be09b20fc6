"""The outbox: messages from planned to sent.

A row taken from `sending` back to `planned` may be sent twice: `recover` returns how many were.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

from services.gateway.answer import Outgoing, Silence

KEEP_SENT_SECONDS = 2 * 86_400.0
"""Time for which what was sent is kept, so that nothing is planned twice."""


@dataclass(frozen=True)
class Planned:
    """A row of the outbox, due or not.

    attempts      how often it was tried before
    extra         further parameters of sendMessage, as JSON
    taken_at      when the update that it answers was stored; None when that is pruned already
    others_wrote  somebody else has written since the message that it answers, or waits to be read
    """

    id: int
    update_id: int
    part: int
    chat: int
    topic: int
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
    def quoted(self) -> int:
        """The message to which it replies for all to see; 0 where nobody needs to be told."""
        return self.reply_to if self.others_wrote or not self.spoken else 0

    @property
    def is_talk(self) -> bool:
        """It answers what somebody said, not a command."""
        return self.spoken or self.asker != 0


def plan(db: Connection, update_id: int, messages: Sequence[Outgoing], now: float) -> None:
    query = """INSERT INTO outbox (update_id, part, chat, topic, text, extra, reply_to, spoken,
        asker, to_bot, not_before, planned_at) VALUES (:update_id, :part, :chat, :topic, :text,
        :extra, :reply_to, :spoken, :asker, :to_bot, :now + :after, :now)"""
    for part, each in enumerate(messages):
        known = {"extra": json.dumps(each.extra), "update_id": update_id, "part": part, "now": now}
        db.execute(query, vars(each) | known)


def recover(db: Connection) -> int:
    """Plan again what was being sent when the process died; return how many rows."""
    return db.execute("UPDATE outbox SET state = 'planned' WHERE state = 'sending'").rowcount


def planned_chats(db: Connection) -> list[int]:
    """Return the chats for which something is planned."""
    query = "SELECT DISTINCT chat FROM outbox WHERE state = 'planned'"
    return [chat for (chat,) in db.execute(query)]


def count(db: Connection, states: Sequence[str] = ("planned",)) -> int:
    query = "SELECT count(*) FROM outbox WHERE state IN (SELECT value FROM json_each(?))"
    return int(db.execute(query, (json.dumps(states),)).fetchone()[0])


def next_planned(db: Connection, chat: int) -> Planned | None:
    """Return the message to send next: answers to commands stand before talk."""
    row = db.execute(
        """SELECT o.id, o.update_id, o.part, o.chat, o.topic, o.text, o.extra,
        o.reply_to, o.spoken, o.asker, o.to_bot, o.not_before, o.planned_at, o.attempts,
        (SELECT taken_at FROM updates u WHERE u.update_id = o.update_id),
        EXISTS (SELECT 1 FROM turns t WHERE o.reply_to AND t.chat = o.chat AND t.topic = o.topic
            AND t.role = 'other' AND t.message_id > o.reply_to AND t.user_id != o.asker)
        OR EXISTS (SELECT 1 FROM updates u WHERE u.chat = o.chat AND u.topic = o.topic
            AND u.state = 'new' AND u.update_id > o.update_id AND u.sender != o.asker)
        FROM outbox o WHERE o.chat = ? AND o.state = 'planned'
        ORDER BY o.spoken OR o.asker, o.id LIMIT 1""",
        (chat,),
    ).fetchone()
    return Planned(*row) if row else None


def mark_sending(db: Connection, row: Planned) -> None:
    """From now on it may have been sent."""
    query = "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?"
    db.execute(query, (row.id,))


def mark_sent(db: Connection, row: Planned, message_id: int) -> None:
    query = "UPDATE outbox SET state = 'sent', message_id = ?, text = '', extra = '{}' WHERE id = ?"
    db.execute(query, (message_id, row.id))


def mark_failed(db: Connection, row: Planned) -> None:
    db.execute("UPDATE outbox SET state = 'failed' WHERE id = ?", (row.id,))


def postpone(db: Connection, row: Planned, now: float, seconds: float) -> None:
    """Plan again what is being sent, unless it was forgotten meanwhile."""
    db.execute(
        """UPDATE outbox SET state = 'planned', not_before = ?, planned_at = min(planned_at, ?)
        WHERE id = ? AND state = 'sending'""",
        (now + seconds, now, row.id),  # the clock may have been set back
    )


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
