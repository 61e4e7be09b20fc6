"""`forget.jsonl`: the people whose messages must not be learned from.

The gateway adds an entry when somebody asks to be forgotten; extraction leaves out whatever they
wrote, before and after. A line is `{v, user_id, names, at}`; each `at` is above those before.
Who asks again and again has two entries, the first and the newest, so that nobody fills the file.
A last line that a crash cut short is no entry: the person got no confirmation and asks again. Any
other broken line is refused: it may be an entry.
"""

import fcntl
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.clock import DAY
from contracts.files import LOCK, up_to, write_whole
from contracts.refusal import Refusal

VERSION = 1


class Forgotten(BaseModel):
    """A person: the id at Telegram, names for sources that have no ids, unix time of asking."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Annotated[int, up_to(VERSION)] = Field(default=VERSION, ge=1)
    user_id: int
    names: tuple[str, ...] = ()
    at: float


def append(path: Path, entry: Forgotten) -> None:
    """Add an entry and have it on disk; raises OSError where the volume does not take it.

    It takes the place of the person's earlier ones, with their names too, but not of the first:
    that one tells since when the person has been waiting. Its time is made later than all others,
    also where the clock was set back, so that no data set seems to have known of it. What a crash
    left of the last line is removed: `read` never returned it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = _lines(path) if path.exists() else []
        held = [(line, _valid(line)) for line in lines]
        newest = max((each.at for _, each in held if each), default=0.0)
        if entry.at <= newest < entry.at + DAY:  # further ahead is no clock's time
            entry = entry.model_copy(update={"at": math.nextafter(newest, math.inf)})
        repeated = [old for _, old in held if old and old.user_id == entry.user_id][1:]
        for old in repeated:
            entry = _joined(old, entry)
        kept = [line for line, old in held if old not in repeated]
        write_whole(path, b"\n".join([*kept, entry.model_dump_json().encode(), b""]))


def _valid(line: bytes) -> Forgotten | None:
    with suppress(ValidationError):
        return Forgotten.model_validate_json(line)
    return None


def _joined(old: Forgotten, new: Forgotten) -> Forgotten:
    """Return the newer entry with the names of both."""
    return new.model_copy(update={"names": tuple(dict.fromkeys(old.names + new.names))})


def read(path: Path) -> list[Forgotten]:
    """Return the newest entry of each person, with all their names; none where there is no file.

    Raises Refusal where the file cannot be read, or a line is broken or of a newer version.
    """
    newest: dict[int, Forgotten] = {}
    for entry in _entries(path):
        newest[entry.user_id] = _joined(newest.pop(entry.user_id, entry), entry)
    return list(newest.values())


def waiting_since(path: Path, until: float) -> float:
    """Return when the first of the people asked whom a data set with entries up to `until` lacks.

    It is 0 where it lacks nobody: who asked again was left out already. Raises Refusal.
    """
    first: dict[int, float] = {}
    for entry in _entries(path):
        first.setdefault(entry.user_id, entry.at)
    return min((at for at in first.values() if at > until), default=0.0)


def _entries(path: Path) -> Iterator[Forgotten]:
    try:
        lines = _lines(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _entry(line, f"{path}, line {number}")


def _lines(path: Path) -> list[bytes]:
    *lines, last = path.read_bytes().split(b"\n")
    return [*lines, last] if _is_json(last) else lines


def _is_json(text: bytes) -> bool:
    """Tell a whole line from one cut short: no part of a JSON object is JSON."""
    with suppress(ValueError):
        json.loads(text)
        return True
    return False


def _entry(line: bytes, where: str) -> Forgotten:
    """Return the entry; a refused one is not quoted, since it names a person."""
    try:
        return Forgotten.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "entry"
        raise Refusal(f"{where}: {key}: {first['msg'].removeprefix('Value error, ')}") from None
