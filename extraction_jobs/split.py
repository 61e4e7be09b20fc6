"""Divides the records by time, and writes the data set's two files."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryFile

from contracts.dataset import HELDOUT, TRAIN, dataset_sha256
from extraction_jobs.records import Draft

MIN_HELDOUT = 10
"""With fewer records than this nothing is held out: too little to learn from, and to measure by."""
HELDOUT_MESSAGES = 50
"""Fewest persona messages that are held out where there are ten times as many."""
LONG_ANSWER = 500
"""Characters beyond which a reply ends before what was learned does: about its 128 tokens."""
MOST_EQUAL = 10
"""Most equal answers to learn from: with more of them the persona would say little else."""
_BUFFER = 1 << 18
_SCHEMA = """CREATE TABLE records (number INTEGER PRIMARY KEY, ended REAL, messages INTEGER,
    words INTEGER)"""
_DIVIDE = """SELECT ended >= ?1, row_number() OVER (PARTITION BY words, ended >= ?1 ORDER BY number)
    FROM records ORDER BY number"""


@dataclass
class Split:
    """What was written, in the fields of the data set's card."""

    chats: int = 0
    persona_messages: int = 0
    distinct_answers: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    long_answers: int = 0
    train_records: int = 0
    heldout_records: int = 0
    heldout_messages: int = 0
    heldout_repeated: int = 0
    split_at: datetime | None = None
    sha256: str = ""


def write_split(
    folder: Path, scratch: Connection, records: Iterable[Draft], share: float,
    dropped: Counter[str],
) -> Split:  # fmt: skip
    """Write train.jsonl, and heldout.jsonl with the latest records: that share of the messages."""
    chats, answers, found = set[str](), Counter[str](), Split()

    def rows() -> Iterable[tuple[float, int, int]]:
        for record in records:
            chats.add(record.chat)
            answers[record.answers] += 1
            found.long_answers += len("\n".join(record.messages)) > LONG_ANSWER
            lines.write(record.line)
            yield record.ended, len(record.messages), _words(record.messages)

    scratch.execute(_SCHEMA)
    with TemporaryFile(dir=folder, buffering=_BUFFER) as lines:
        insert = "INSERT INTO records (ended, messages, words) VALUES (?, ?, ?)"
        scratch.executemany(insert, rows())
        found.persona_messages, found.distinct_answers = scratch.execute(
            "SELECT coalesce(sum(messages), 0), count(DISTINCT words) FROM records"
        ).fetchone()
        found.chats, found.answers = len(chats), dict(answers)
        cut = _cut(scratch, found.persona_messages, share)
        if cut is not None:
            found.split_at = datetime.fromtimestamp(cut, UTC)
        before = float("inf") if cut is None else cut
        found.heldout_messages, found.heldout_repeated = scratch.execute(
            """SELECT coalesce(sum(messages), 0), count(*) FILTER (WHERE words IN
            (SELECT words FROM records WHERE ended < ?1)) FROM records WHERE ended >= ?1""",
            (before,),
        ).fetchone()
        lines.seek(0)
        files = [(folder / name).open("wb", _BUFFER) for name in (TRAIN, HELDOUT)]
        with files[0] as train, files[1] as heldout:
            divided = scratch.execute(_DIVIDE, (before,))
            for line, (is_late, nth) in zip(lines, divided, strict=True):
                if is_late:
                    found.heldout_records += heldout.write(line) > 0
                elif nth <= MOST_EQUAL:
                    found.train_records += train.write(line) > 0
                else:
                    dropped["repeated_answer"] += 1
    found.sha256 = dataset_sha256(folder)
    return found


def _words(messages: tuple[str, ...]) -> int:
    """Return a hash, for this run, of answers that differ in case and punctuation alone."""
    said = " ".join(messages)
    folded = said.casefold()
    is_plain = folded.replace(" ", "").isalnum()  # which is faster
    words = folded.split() if is_plain else re.findall(r"\w+", folded)
    return hash(" ".join(words) or said)


def _cut(scratch: Connection, total: int, share: float) -> float | None:
    """Return the time from which on records are held out; those of one moment stay together.

    They hold the share or less, but at least the latest record, and never more than half.
    """
    least = 0 if not share else HELDOUT_MESSAGES if total >= 10 * HELDOUT_MESSAGES else 1
    count, first = scratch.execute("SELECT count(*), min(ended) FROM records").fetchone()
    cut, held = None, 0
    for ended, messages in scratch.execute("SELECT ended, messages FROM records ORDER BY 1 DESC"):
        is_over = held + messages > total * (share if held >= least else 0.5)
        if is_over or ended == first:
            break
        held, cut = held + messages, ended
    return cut if count >= MIN_HELDOUT else None
