"""Writes a data set: records to a scratch file, then split by time, a record in memory at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from contracts.dataset import HELDOUT, TRAIN, Record, dataset_sha256
from contracts.turn import Turn

MIN_HELDOUT = 10
"""With fewer records than this nothing is held out: too little to learn from, and to measure by."""
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass
class Written:
    """What was written, in the fields of the data set's card."""

    chats: int = 0
    messages_used: int = 0
    persona_messages: int = 0
    distinct_persona_messages: int = 0
    train_records: int = 0
    heldout_records: int = 0
    split_at: datetime | None = None
    sha256: str = ""


def write_split(folder: Path, records: Iterable[Record], share: float, whole_chat: bool) -> Written:
    """Write train.jsonl, and heldout.jsonl with the latest `share` of the records."""
    written, chats, distinct = Written(), set[str](), set[int]()
    scratch = folder / "records.jsonl"
    times: list[datetime] = []
    try:
        with scratch.open("w", encoding="utf-8") as file:
            for record in records:
                file.write(record.to_line())
                times.append(record.turns[-1].at or record.started_at or _EPOCH)
                chats.add(record.chat)
                for turn in record.turns[-1:] if whole_chat else record.turns:
                    _count(written, turn, distinct)
        written.chats, written.distinct_persona_messages = len(chats), len(distinct)
        _divide(folder, scratch, times, share, written)
    finally:
        scratch.unlink(missing_ok=True)
    return written


def _count(written: Written, turn: Turn, distinct: set[int]) -> None:
    """Count a turn's messages; `distinct` takes the hashes of the persona's."""
    written.messages_used += len(turn.messages)
    if turn.is_persona:
        written.persona_messages += len(turn.messages)
        distinct.update(map(hash, turn.messages))


def _divide(
    folder: Path, scratch: Path, times: list[datetime], share: float, written: Written
) -> None:
    """Hold out the latest records; those that end at the moment of the cut are all held out."""
    keep = len(times) - int(len(times) * share)
    if len(times) >= MIN_HELDOUT and keep < len(times):
        split_at = sorted(times)[keep]
        written.split_at = split_at if split_at > min(times) else None
    with (
        scratch.open("rb") as source,
        (folder / TRAIN).open("wb") as train,
        (folder / HELDOUT).open("wb") as heldout,
    ):
        for line, ended in zip(source, times, strict=True):
            late = written.split_at is not None and ended >= written.split_at
            (heldout if late else train).write(line)
            written.heldout_records += late
            written.train_records += not late
    written.sha256 = dataset_sha256(folder)
