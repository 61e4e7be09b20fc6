"""`forget.jsonl`: people whose messages are not to be learned from. The gateway appends to it when
somebody asks to be forgotten, and extraction leaves out what they wrote.

A line is `{v, user_id, names, at}`. A last line cut short by a crash is no entry: the person was
not told that it was done, and asks again. Any other broken line is refused: it may have been one.
"""

import fcntl
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.files import sync
from contracts.refusal import Refusal

VERSION = 1


class _Versioned(BaseModel):
    v: int = Field(default=VERSION, ge=1)


class Forgotten(_Versioned):
    """A person: the id at Telegram, names for sources that have no ids, unix time of asking."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    user_id: int
    names: tuple[str, ...] = ()
    at: float


def append(path: Path, entry: Forgotten) -> None:
    """Add an entry and have it on disk; raises OSError when the volume does not take it.

    What a crash left of the line before is removed: it is nothing that `read` returned.
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
    """All entries, none where there is no file.

    Raises Refusal for a file that cannot be read, and for a line that is broken or of a newer
    version.
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
    """False for a line cut short: no part of a JSON object is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _entry(line: bytes, where: str) -> Forgotten:
    """The entry; what is refused is not quoted, since it names a person."""
    try:
        version = _Versioned.model_validate_json(line).v
        if version > VERSION:
            raise Refusal(f"{where}: version {version} is newer than this program ({VERSION})")
        return Forgotten.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise Refusal(f"{where}: {key}: {first['msg']}") from None
