"""The scratch database: each message of a run once, by place and time, and the turns they make.

It holds chats of any size in little memory, and goes with the job.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from contracts.conversation import Conversation, Line, Spoken, turns
from extraction_jobs.messages import Usable

_SCHEMA = """
    PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;
    CREATE TABLE messages (chat INTEGER, id INTEGER, topic INTEGER, sender TEXT, text TEXT,
        at REAL, reply_to INTEGER, is_own INTEGER, reason TEXT, copied_from TEXT, source INTEGER,
        PRIMARY KEY (chat, topic, at, id)) WITHOUT ROWID;
    CREATE INDEX by_id ON messages (chat, id);
    CREATE TABLE turns (number INTEGER PRIMARY KEY, chat INTEGER, topic INTEGER, at REAL,
        id INTEGER, lines INTEGER, sender TEXT, session INTEGER, reply_to INTEGER,
        messages INTEGER, characters INTEGER);
    CREATE INDEX by_first ON turns (chat, topic, at, id);
"""
_OTHER_ACCOUNTS = """SELECT DISTINCT later.chat, later.source FROM messages AS later
    CROSS JOIN messages AS first INDEXED BY by_id USING (chat, id)
    WHERE later.source AND first.source < later.source"""
"""One id for two messages: the ids of private chats are those of the account that exported them."""
_FIRST_ENTRIES = """CREATE TEMP TABLE first_entries AS
    SELECT chat, id FROM messages WHERE topic UNION
    SELECT chat, reply_to FROM messages AS said WHERE reply_to > 0 GROUP BY chat, reply_to
        HAVING count(*) >= ? AND NOT EXISTS (
            SELECT 1 FROM messages WHERE chat = said.chat AND id = said.reply_to)"""
UNKNOWN_TOPIC = 5
"""Messages that answer what the export does not hold, from which on that is taken for a topic's
first entry: the export begins later."""
_TOPICS = """
    CREATE INDEX by_reply ON messages (chat, reply_to);
    CREATE TEMP TABLE topics (chat INTEGER, id INTEGER, topic INTEGER, PRIMARY KEY (chat, id));
    INSERT OR IGNORE INTO topics
        WITH RECURSIVE found (chat, id, topic) AS (
            SELECT chat, id, id FROM first_entries UNION
            SELECT messages.chat, messages.id, found.topic FROM found, messages
                ON messages.chat = found.chat AND messages.reply_to = found.id)
        SELECT * FROM found;
    UPDATE messages SET topic = topics.topic, reply_to = nullif(reply_to, topics.topic)
        FROM topics WHERE messages.chat = topics.chat AND messages.id = topics.id;
"""
"""An export tells topics by replies alone: to a topic's first entry, or to what is in it."""
_FIND = """SELECT turns.number FROM messages, turns ON turns.chat = messages.chat
    AND turns.topic = messages.topic AND (turns.at, turns.id) <= (messages.at, messages.id)
    WHERE messages.chat = ? AND messages.id = ? ORDER BY turns.at DESC, turns.id DESC LIMIT 1"""
_LINES = """SELECT id, text, at, reply_to, is_own FROM messages
    WHERE chat = ? AND topic = ? AND (at, id) >= (?, ?) AND text != '' ORDER BY at, id LIMIT ?"""
CACHED_TURNS = 1000


class Scratch:
    """First the messages of all sources are added, then joined to turns."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(_SCHEMA + "BEGIN;")
        self._chats: dict[str, int] = {}
        self.read = 0

    def close(self) -> None:
        self.db.close()

    def add(self, messages: Iterable[Usable], source: int = 0) -> None:
        """Add the messages of a source, each once; one without a text is only known to be there."""
        insert = "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        self.db.executemany(insert, self._rows(messages, source))

    def _rows(self, messages: Iterable[Usable], source: int) -> Iterator[tuple[Any, ...]]:
        for message, text, reason, is_own in messages:
            self.read += 1
            chat = self._chats.setdefault(message.chat.key, len(self._chats))
            topic = message.id if message.opens_topic else 0
            said = message.sender, text, message.at, message.reply_to, is_own
            yield chat, message.id, topic, *said, reason, message.forwarded_from, source

    def finish(self, unwanted: Iterable[str] = ()) -> None:
        """Part what is of several chats or topics, and empty what was copied from the unwanted."""
        for chat, source in self.db.execute(_OTHER_ACCOUNTS).fetchall():
            number = self._chats.setdefault(f"{chat} of {source}", len(self._chats))
            move = "UPDATE messages SET chat = ? WHERE chat = ? AND source = ?"
            self.db.execute(move, (number, chat, source))
        self.db.executemany(
            """UPDATE messages SET text = '', is_own = 0, reason = 'forgotten'
            WHERE copied_from = ?""",
            ((name,) for name in unwanted),
        )
        self.db.execute(_FIRST_ENTRIES, (UNKNOWN_TOPIC,))
        if self.count("first_entries"):
            self.db.executescript(_TOPICS)

    def count(self, rows: str) -> int:
        """Return the number of rows of a table, of which `WHERE` may choose some."""
        return int(self.db.execute(f"SELECT count(*) FROM {rows}").fetchone()[0])  # noqa: S608

    def dropped(self) -> Counter[str]:
        """Count what is not learned by its reason; what was there twice, as well."""
        query = "SELECT reason, count(*) FROM messages GROUP BY reason HAVING reason NOT NULL"
        found = Counter(dict(self.db.execute(query)))
        found["twice"] = self.read - self.count("messages")
        return found

    def senders(self) -> Counter[str]:
        """Count the messages of their own words by sender, those of the forgotten too."""
        query = "SELECT sender, count(*) FROM messages WHERE is_own GROUP BY sender"
        return Counter(dict(self.db.execute(query)))

    def join(self, rules: Conversation, persona: frozenset[str] = frozenset()) -> Iterator["Place"]:
        """Yield each chat, and each topic of a forum, to be gone through at once; the senders in
        `persona` are one, the first of them.
        """
        senders = dict.fromkeys(persona, min(persona, default=""))
        keys, count, session = list(self._chats), 0, 0
        rows = self.db.execute(
            """SELECT chat, topic, id, sender, text, at, reply_to, is_own FROM messages
            WHERE text != '' ORDER BY chat, topic, at, id"""
        )
        for (chat, topic), group in groupby(rows, itemgetter(0, 1)):
            lines = (
                Line(number, senders.get(sender, sender), text, at, reply_to, is_own)
                for _, _, number, sender, text, at, reply_to, is_own in group
            )
            place = Place(self.db, keys[chat], chat, topic, turns(lines, rules, session), count)
            yield place
            count, session = place.count, place.session + 1


class Place:
    """A conversation by itself, as contracts.conversation.Turns; topic 0 is none.

    Its turns are numbered on from those of other places, and known once they are reached. The
    latest ones are in memory.
    """

    def __init__(
        self, db: Connection, key: str, chat: int, topic: int, spoken: Iterator[Spoken], count: int
    ) -> None:
        self.key, self.topic, self.count, self.session = key, topic, count, 0
        self._db, self._chat, self._spoken = db, chat, spoken
        self._latest: dict[int, Spoken] = {}
        self._numbers: dict[int, int] = {}  # by message id
        self._read = lru_cache(CACHED_TURNS)(self._read_turn)

    def __iter__(self) -> Iterator[tuple[int, Spoken]]:
        """Yield each turn with its number."""
        insert = "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        for number, spoken in enumerate(self._spoken, self.count):
            lines, self.session, reply_to = spoken
            own = [len(line.text) for line in lines if line.is_own]
            begin = number, self._chat, self.topic, lines[0].at, lines[0].id, len(lines)
            rest = spoken.sender, self.session, reply_to, len(own), sum(own)
            self._db.execute(insert, begin + rest)
            self._latest[number] = spoken
            for line in lines:
                self._numbers[line.id] = number
            if old := self._latest.pop(number - CACHED_TURNS, None):
                for line in old.lines:
                    del self._numbers[line.id]
            self.count = number + 1
            yield number, spoken

    def __getitem__(self, number: int) -> Spoken:
        return self._latest.get(number) or self._read(number)

    def _read_turn(self, number: int) -> Spoken:
        turn = "SELECT * FROM turns WHERE number = ?"
        _, *begin, sender, session, reply_to, _, _ = self._db.execute(turn, (number,)).fetchone()
        lines = self._db.execute(_LINES, begin)
        return Spoken([Line(each, sender, *rest) for each, *rest in lines], session, reply_to)

    def find(self, message_id: int) -> int | None:
        """Return the turn in which a message of the chat is, of those that are known."""
        if (number := self._numbers.get(message_id)) is not None:
            return number
        row = self._db.execute(_FIND, (self._chat, message_id)).fetchone()
        has_it = row and any(line.id == message_id for line in self[row[0]].lines)
        return row[0] if has_it else None
