"""The history: what was said where, and what of it a decision and a reply rest on."""

import json
import math
from dataclasses import dataclass
from itertools import takewhile
from sqlite3 import Connection, Row

from contracts.conversation import MOST_CONTEXT_TURNS
from contracts.turn import Role
from services.gateway.incoming import Message
from services.gateway.reasons import BURST_GAP, SPEAKS, ChatSettings, Reason, View
from services.gateway.store import chats, inbox, outbox
from services.gateway.store.database import BATCH
from services.gateway.store.same_words import words_key
from services.gateway.telegram import RepliedTo

ALBUM_MESSAGES = 20
"""Parts of an album lie less than so many messages apart; it has at most ten."""
WAITED_SECONDS = 86_400.0
"""Time for which Telegram keeps what nobody fetches, so that one answer may be for all of it."""
REPEAT_MESSAGES = 20
"""Of its last messages the bot repeats none."""
KEEP_ASKS_SECONDS = 2 * 86_400.0

_BOTS_IN_A_ROW = """
    WITH newest AS (SELECT id, is_bot, role, user_id FROM turns WHERE chat = :chat
        AND topic = :topic AND message_id != :message_id AND reason != 'quoted'
        ORDER BY id DESC LIMIT 101)
    SELECT count(*), count(DISTINCT CASE WHEN role != 'persona' THEN user_id END) FROM newest
    WHERE is_bot AND id > coalesce((SELECT max(id) FROM newest WHERE NOT is_bot), 0)
"""
_SAME_POST = """
    (:post IN (0, reply_to) OR NOT EXISTS (SELECT 1 FROM turns AS post WHERE post.chat = :chat
        AND post.message_id = turns.reply_to AND post.user_id < 0 AND post.user_id != :chat))
"""
"""That two messages do not comment on two posts; what a channel writes is taken for one."""
_VIEW = f"""
    SELECT
    (SELECT iif(reason = 'not_addressed' AND text = :text, NULL, reason) FROM turns
        WHERE chat = :chat AND message_id = :message_id) AS before,
    (SELECT min(reason) FROM turns WHERE chat = :chat AND topic = :topic AND user_id = :sender
        AND message_id != :message_id AND reason LIKE 'joined%' AND at >= :at - {BURST_GAP}
        AND {_SAME_POST}) AS joined,
    EXISTS (SELECT 1 FROM turns WHERE chat = :chat AND album = :album AND message_id != :message_id
        AND message_id BETWEEN :message_id - {ALBUM_MESSAGES} AND :message_id + {ALBUM_MESSAGES}
        AND reason IN {tuple(map(str, SPEAKS))}) AS album
"""  # noqa: S608
_ROW = "message_id, user_id, role, text, at, reason, reply_to"
_CHAIN = f"""
    WITH RECURSIVE chain(message_id, length) AS (SELECT value, 1 FROM json_each(:wanted) UNION
        SELECT reply_to, length + 1 FROM turns JOIN chain USING (message_id)
        WHERE chat = :chat AND reply_to AND length < {MOST_CONTEXT_TURNS})
    SELECT {_ROW} FROM turns WHERE chat = :chat AND +topic = :topic
    AND message_id IN (SELECT message_id FROM chain) ORDER BY id
"""  # noqa: S608
"""What is replied to, what that replies to, and so on."""


@dataclass(frozen=True)
class Basis:
    """What a reply rests on.

    messages  of the topic, oldest first; rows with what _ROW names
    answered  the chain of what the newest of them reply to, and the post that they comment
    recent    what the bot said lately, and should not say again
    denied    what it must not say, as denial_key has it
    """

    messages: list[Row]
    answered: list[Row]
    recent: frozenset[str]
    denied: frozenset[str]

    def outside_chain(self, message: Message) -> Message:
        """Return it without its thread where that is known for a chain of replies, and no post's.

        An answer stands in such a chain or outside of it, as anybody's words do.
        """
        roots = (row["user_id"] for row in self.answered if row["message_id"] == message.thread)
        is_chain = any(user > 0 or user == message.chat for user in roots)
        return message.outside_thread() if is_chain else message


def view(db: Connection, message: Message, now: float, default: ChatSettings) -> View:
    """Return what is known of a message; itself is not counted, whether it is stored or not."""
    # words that become a link to somebody change; else only words that differ do
    given = {**message.facts(), "text": None if message.mentions() else message.said}
    before, joined, album = db.execute(_VIEW, given).fetchone()
    bots, other_bots = bots_in_a_row(db, message.chat, message.topic, message.message_id)
    asks = chats.count_asks(db, "user_id", message.sender, now - 3600, now)
    return View(
        settings=chats.settings(db, message.chat, message.topic) or default,
        opted_out=chats.is_opted_out(db),
        before=before,
        bots=bots,
        other_bots=max(other_bots, int(message.is_by_bot)),
        joined=joined,
        album=bool(album),
        answers_in_hour=asks["answer"] + asks["unasked"],
        commands_in_hour=asks["command"],
        limit_told=asks["limit_told"] > 0,
        unasked_in_minute=chats.count_asks(db, "chat", message.chat, now - 60, now)["unasked"],
    )


def bots_in_a_row(db: Connection, chat: int, topic: int, but: int = 0) -> tuple[int, int]:
    """Return the number of messages of bots since the last one of a person, and of bots but ours.

    More than `bot_depth` can be are not counted. The message with the id `but` is not counted.
    """
    here = {"chat": chat, "topic": topic, "message_id": but}
    bots, others = db.execute(_BOTS_IN_A_ROW, here).fetchone()
    return bots, others


def add_message(db: Connection, message: Message, reason: Reason) -> None:
    """Add a message to the history once; an edit changes only what is there.

    One that is to be answered is stored as EDITED until it is, or a second attempt would take it
    for answered; one that is passed over as such leaves the reason.
    """
    values = {**message.facts(), "text": message.said, "reason": reason}
    if message.is_edit:
        kept = None if reason is Reason.EDITED else Reason.EDITED if reason in SPEAKS else reason
        db.execute(
            """UPDATE turns SET text = :text, reason = coalesce(:reason, reason)
            WHERE chat = :chat AND message_id = :message_id""",
            {**values, "reason": kept},
        )
        return
    db.execute(
        """INSERT INTO turns
        (chat, topic, message_id, user_id, role, is_bot, text, at, reason, album, reply_to) VALUES
        (:chat, :topic, :message_id, :sender, 'other', :is_bot, :text, :at, :reason, :album,
        :reply_to) ON CONFLICT DO UPDATE SET text = excluded.text""",
        values,
    )


def add_answered(db: Connection, message: Message, said: RepliedTo, me: int) -> None:
    """Add what a message answers, before it, where the history does not hold it.

    It is kept as long as the message, however old it is.
    """
    role = Role.PERSONA if said.user.id == me else Role.OTHER
    words = message.replied_to.text or said.text  # all of them, of which it may quote a part
    if role is Role.PERSONA and chats.is_denied(db, message.chat, words):
        return
    db.execute(
        """INSERT INTO turns
        (chat, topic, message_id, user_id, role, is_bot, text, at, reply_to, reason)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'quoted')
        ON CONFLICT DO UPDATE SET text = excluded.text WHERE reason = 'quoted'""",
        (message.chat, message.topic, said.message_id, said.sender, role, said.is_by_bot, said.text,
         message.at, message.thread if message.thread != said.message_id else 0),
    )  # fmt: skip


def add_spoken(db: Connection, row: outbox.Planned, message_id: int, me: int, now: float) -> None:
    """Add what the persona said, and to what it replied for all to see."""
    db.execute(
        """INSERT OR IGNORE INTO turns
        (role, is_bot, chat, topic, message_id, user_id, text, at, reply_to)
        VALUES ('persona', 1, ?, ?, ?, ?, ?, ?, ?)""",
        (row.chat, row.topic, message_id, me, row.text, now, row.quoted),
    )


def set_reason(db: Connection, message: Message, reason: Reason) -> None:
    """Say anew why a message of the history was answered or not."""
    query = "UPDATE turns SET reason = :reason WHERE chat = :chat AND message_id = :message_id"
    db.execute(query, {**message.facts(), "reason": reason})


def end_burst(db: Connection, message: Message, reason: Reason) -> None:
    """Say why a message was answered or not, and that what waited to be answered with it was so."""
    set_reason(db, message, reason)
    db.execute(
        f"""UPDATE turns SET reason = iif(:reason = 'silenced', :reason, 'burst')
        WHERE chat = :chat AND topic = :topic AND user_id = :sender AND reason LIKE 'joined%'
        AND at > :at - :waited_seconds AND {_SAME_POST}""",  # noqa: S608
        {**message.facts(), "reason": reason, "waited_seconds": WAITED_SECONDS},
    )


def read_basis(db: Connection, message: Message, limit: int) -> Basis:
    """Return what a reply to the message rests on; no messages where it is not stored."""
    here = {**message.facts(), "limit": limit, "recent": REPEAT_MESSAGES}
    rows = db.execute(
        f"""SELECT {_ROW} FROM turns WHERE chat = :chat AND topic = :topic AND id <=
        (SELECT id FROM turns WHERE chat = :chat AND message_id = :message_id)
        ORDER BY id DESC LIMIT :limit""",  # noqa: S608
        here,
    ).fetchall()
    since = message.at - BURST_GAP
    burst = takewhile(lambda row: row["user_id"] == message.sender, rows)
    lines = (row for row in burst if row["at"] >= since or row["reason"].startswith(Reason.JOINED))
    wanted = [message.thread, *(row["reply_to"] for row in lines)]
    answered = db.execute(_CHAIN, {**here, "wanted": json.dumps(wanted)}).fetchall()
    own = db.execute(
        """SELECT text FROM turns WHERE chat = :chat AND topic = :topic AND role = 'persona'
        ORDER BY id DESC LIMIT :recent""",
        here,
    )
    denied = db.execute(
        "SELECT words FROM denied WHERE chat IN (?, ?)", (chats.WHOLE_BOT, message.chat)
    )
    recent = frozenset(words_key(text) for (text,) in own)
    return Basis(rows[::-1], answered, recent, frozenset(words for (words,) in denied))


def reset(db: Connection, chat: int, topic: int, before_id: int) -> int:
    """Forget some of the topic's conversation and what waits to enter it; return how much."""
    ended = inbox.end_talk(db, chat, topic, before_id) + outbox.unspeak(db, chat, topic)
    return ended or _delete(db, "turns WHERE chat = ? AND topic = ?", chat, topic)


def _delete(db: Connection, rows: str, *values: float) -> int:
    """Delete a batch of rows of a table that has ids; return how many."""
    table = rows.split()[0]
    query = f"DELETE FROM {table} WHERE id IN (SELECT id FROM {rows} LIMIT {BATCH})"  # noqa: S608
    return db.execute(query, values).rowcount


def persona_id(db: Connection) -> int | None:
    """Return the id of the bot that speaks with this database: there is one alone."""
    query = "SELECT user_id FROM turns WHERE role = 'persona' LIMIT 1"
    row = db.execute(query).fetchone()
    return int(row[0]) if row else None


def forget(db: Connection, user_id: int, before_id: int = 1 << 62, before: float = math.inf) -> int:
    """Delete some of what a person wrote; return how much. Later updates stay.

    `before_id` and `before` limit that to lower update ids and earlier times. What answers the
    person is `outbox.forget`'s.
    """
    updates = inbox.forget(db, user_id, before_id, before, BATCH)
    return updates or _delete(db, "turns WHERE user_id = ? AND at < ?", user_id, before)


def newest_date(db: Connection) -> float | None:
    """Return Telegram's date of the newest message, None without any."""
    query = "SELECT at FROM turns WHERE role = 'other' ORDER BY at DESC LIMIT 1"
    row = db.execute(query).fetchone()
    return float(row[0]) if row else None


def prune(db: Connection, now: float, days: int) -> int:
    """Delete some of what is older than it may be; return how many rows."""
    before = now - outbox.KEEP_SENT_SECONDS
    return (
        _delete(db, "turns WHERE at < ?", now - days * 86_400)
        + _delete(db, "asks WHERE at < ?", now - KEEP_ASKS_SECONDS)
        + _delete(db, "outbox WHERE state NOT IN ('planned', 'sending') AND planned_at < ?", before)
        + inbox.prune(db, before, BATCH)
    )
