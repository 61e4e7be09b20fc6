"""`forget.jsonl`: the people whose messages must not be learned from.

The gateway appends an entry when somebody asks to be forgotten; extraction leaves out what they
wrote. A line is `{v, user_id, names, at}`. A last line that a crash cut short is no entry: the
person got no confirmation and asks again. Any other broken line is refused: it may be an entry.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.files import sync
from contracts.refusal import Refusal

VERSION = 1


class Forgotten(BaseModel):
    """A person: the id at Telegram, names for sources that have no ids, unix time of asking."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = Field(default=VERSION, ge=1)
    user_id: int
    names: tuple[str, ...] = ()
    at: float

    @model_validator(mode="before")
    @classmethod
    def _check_version(cls, values: Any) -> Any:
        """Refuse a newer version before its fields are looked at."""
        version = values.get("v") if isinstance(values, dict) else None
        if isinstance(version, int) and version > VERSION:
            raise ValueError(f"version {version} is newer than this program ({VERSION})")
        return values


def append(path: Path, entry: Forgotten) -> None:
    """Add an entry and have it on disk; raises OSError where the volume does not take it.

    What a crash left of the line before is removed: `read` never returned it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        data = file.read()
        last = data[data.rfind(b"\n") + 1 :]
        if last and not _is_json(last):
            file.truncate(len(data) - len(last))
            last = b""
        line = entry.model_dump_json().encode() + b"\n"
        file.write(b"\n" + line if last else line)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)


def read(path: Path) -> list[Forgotten]:
    """Return all entries, none where there is no file.

    Raises Refusal where the file cannot be read, or a line is broken or of a newer version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
    *lines, last = data.split(b"\n")
    if _is_json(last):
        lines.append(last)
    numbered = enumerate(lines, 1)
    return [_entry(line, f"{path}, line {number}") for number, line in numbered if line.strip()]


def _is_json(text: bytes) -> bool:
    """Tell a whole line from one cut short: no part of a JSON object is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _entry(line: bytes, where: str) -> Forgotten:
    """Return the entry; a refused one is not quoted, since it names a person."""
    try:
        return Forgotten.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise Refusal(f"{where}: {key}: {first['msg'].removeprefix('Value error, ')}") from None
