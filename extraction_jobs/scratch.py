"""The scratch database: each message of a run once, by place and time, and the turns they make.

It holds chats of any size in little memory, and goes with the job.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from contracts.conversation import Conversation, Line, Spoken, turns
from extraction_jobs.messages import Message

_SCHEMA = """
    PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;
    CREATE TABLE messages (chat INTEGER, id INTEGER, topic INTEGER, sender TEXT, text TEXT,
        at REAL, reply_to INTEGER, is_own INTEGER, PRIMARY KEY (chat, topic, at, id))
        WITHOUT ROWID;
    CREATE UNIQUE INDEX by_id ON messages (chat, id);
    CREATE TABLE topics (chat INTEGER, id INTEGER, topic INTEGER, PRIMARY KEY (chat, id))
        WITHOUT ROWID;
    CREATE TABLE turns (number INTEGER PRIMARY KEY, chat INTEGER, topic INTEGER, at REAL,
        id INTEGER, lines INTEGER, sender TEXT, session INTEGER, reply_to INTEGER,
        messages INTEGER, characters INTEGER);
    CREATE INDEX by_first ON turns (chat, topic, at, id);
"""
_FIND = """SELECT turns.number FROM messages, turns ON turns.chat = messages.chat
    AND turns.topic = messages.topic AND (turns.at, turns.id) <= (messages.at, messages.id)
    WHERE messages.chat = ? AND messages.id = ? ORDER BY turns.at DESC, turns.id DESC LIMIT 1"""
_LINES = """SELECT id, text, at, reply_to, is_own FROM messages
    WHERE chat = ? AND topic = ? AND (at, id) >= (?, ?) ORDER BY at, id LIMIT ?"""
CACHED_TURNS = 1000


class Scratch:
    """First all messages are added, then joined to turns."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(_SCHEMA + "BEGIN;")
        self._chats: dict[str, int] = {}
        self._forums = set[int]()

    def close(self) -> None:
        self.db.close()

    def add(self, messages: Iterable[tuple[Message, str, bool]]) -> int:
        """Add messages by their text and whether it is their sender's own; return how many were
        there already. One without a text is not kept, but others may be in its topic.
        """
        offered = 0

        def rows() -> Iterator[tuple[Any, ...]]:
            nonlocal offered
            for message, text, is_own in messages:
                chat = self._chats.setdefault(message.chat.key, len(self._chats))
                topic, reply_to = self._topic(chat, message)
                if text:
                    offered += 1
                    sender, at = message.sender, message.at
                    yield chat, message.id, topic, sender, text, at, reply_to, is_own

        insert = "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        added = self.db.executemany(insert, rows()).rowcount
        return offered - added

    def _topic(self, chat: int, message: Message) -> tuple[int, int | None]:
        """Return a message's topic and what it answers: an export tells topics by replies alone."""
        topic, reply_to = 0, message.reply_to
        if message.opens_topic:
            self._forums.add(chat)
            topic = message.id
        elif chat in self._forums and reply_to is not None:
            topic = (
                self._value("SELECT topic FROM topics WHERE chat=? AND id=?", chat, reply_to) or 0
            )
            reply_to = None if reply_to == topic else reply_to
        if topic:
            self.db.execute(
                "INSERT OR IGNORE INTO topics VALUES (?, ?, ?)", (chat, message.id, topic)
            )
        return topic, reply_to

    def _value(self, query: str, *values: Any) -> Any:
        row = self.db.execute(query, values).fetchone()
        return None if row is None else row[0]

    def count(self, table: str = "messages") -> int:
        return int(self._value(f"SELECT count(*) FROM {table}"))  # noqa: S608

    def join(self, rules: Conversation, persona: frozenset[str] = frozenset()) -> Iterator["Place"]:
        """Yield each chat, and each topic of a forum, to be gone through at once; the senders in
        `persona` are one, the first of them.
        """
        senders = dict.fromkeys(persona, min(persona, default=""))
        keys, count, session = list(self._chats), 0, 0
        rows = self.db.execute(
            """SELECT chat, topic, id, sender, text, at, reply_to, is_own FROM messages
            ORDER BY chat, topic, at, id"""
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
