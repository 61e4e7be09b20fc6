"""`forget.jsonl`: people whose messages are not to be learned from. The gateway appends to it when
somebody asks to be forgotten, and extraction leaves out what they wrote.

A line is `{v, user_id, names, at}`. A line cut short by a crash is no entry: the person was not
told that it was done, and asks again.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.refusal import Refusal

VERSION = 1


class Forgotten(BaseModel):
    """A person: the id at Telegram, names for sources that have no ids, unix time of asking."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = VERSION
    user_id: int
    names: tuple[str, ...] = ()
    at: float


def append(path: Path, entry: Forgotten) -> None:
    """Add an entry and have it on disk; raises OSError when the volume does not take it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = entry.model_dump_json().encode() + b"\n"
    with path.open("ab") as file:
        file.write(line if _ends_well(path) else b"\n" + line)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _ends_well(path: Path) -> bool:
    data = path.read_bytes()
    return not data or data.endswith(b"\n")


def read(path: Path) -> list[Forgotten]:
    """All entries, none where there is no file. Raises Refusal for a line of a newer version."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
    entries = [entry for line in lines if (entry := _entry(line))]
    for number, entry in enumerate(entries, 1):
        if entry.v > VERSION:
            raise Refusal(
                f"{path}: entry {number} is of version {entry.v}, newer than this program"
            )
    return entries


def _entry(line: bytes) -> Forgotten | None:
    """None for a line that was cut short."""
    try:
        return Forgotten.model_validate_json(line)
    except ValidationError:
        return None
