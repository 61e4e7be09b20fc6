"""Telegram Desktop's JSON export, streamed: a single chat, or an account with `chats.list`.

Memory stays flat whatever the file's size, also when it is written again without some messages.
Format: the export's own schema, and
`export_output_json.cpp` of Telegram Desktop, whose invalid `\\xNN` escapes are repaired on the way.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, BinaryIO

import ijson
from ijson.common import ObjectBuilder

from contracts.files import whole_file
from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Message

HINT = "export the chat from Telegram Desktop as JSON and give its result.json with --input"
_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16
_DEEPEST = 1000
"""Characters of a JSON path: no export is nested deeper, and memory grows with the square."""
_BAD_ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\x([0-9A-Fa-f]{2})")
_CUT_ESCAPE = re.compile(rb"(?<!\\)\\++(?:x[0-9A-Fa-f]?)?\Z")
"""An escape at the end of a chunk that may continue in the next one. Each run of backslashes is
looked at once, from its first on: a person may write thousands of them."""
_LISTS = ("chats.list.item.", "left_chats.list.item.")
Identity = tuple[int, int, int]
"""A file's inode, size and time of change."""
_MARKS = {"start_map": "{", "end_map": "}", "start_array": "[", "end_array": "]"}


class _RepairedFile:
    """A binary file in which `\\xNN`, which JSON does not know, is read as `\\u00NN`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """Return about `size` bytes; none at the end, and for size 0, with which ijson probes."""
        if size == 0:
            return b""
        while chunk := self._file.read(_CHUNK):
            data = self._rest + chunk
            tail = _CUT_ESCAPE.search(data)
            whole = data[: tail.start()] if tail else data
            self._rest = data[len(whole) :]
            if whole:
                return _BAD_ESCAPE.sub(rb"\1\\u00\2", whole)
        rest, self._rest = self._rest, b""
        return rest


def read_export(path: Path) -> Iterator[Message]:
    """Yield every entry of every chat, in order; raises Refusal where the file is no export."""
    for message, _ in _messages(path):
        yield message


def file_identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def refuse_changed(path: Path, identity: Identity | None) -> None:
    """Raise Refusal where a file has another identity than before: another export was uploaded."""
    if file_identity(path) != identity:
        raise Refusal(f"{path}: changed meanwhile; start again")


def rewrite_export(
    path: Path, is_unwanted: Callable[[Message], bool], identity: Identity | None
) -> int:
    """Put the same export without some messages in the file's place; return how many they were.

    Raises Refusal, with the file as it was, where the disk does not take it, where it does not read
    again, and where the file is another one than that of the identity.
    """
    removed = kept = 0
    try:
        with whole_file(path) as file:
            shutil.copymode(path, file.name)
            copy = _Copy(file)
            for message, events in _messages(path, copy.write):
                if is_unwanted(message):
                    removed += 1
                    continue
                kept += 1
                for event, value in events:
                    copy.write(event, value)
            file.flush()
            if sum(1 for _ in read_export(Path(file.name))) != kept:
                raise Refusal(f"{path}: was not written anew as it was; please report it")
            refuse_changed(path, identity)
    except OSError as error:
        raise Refusal(f"{path}: cannot be written anew ({error.strerror})") from None
    return removed


class _Copy:
    """Writes JSON by the parser's events: what begins and ends in it, keys, and scalars."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._separator = ""

    def write(self, event: str, value: Any) -> None:
        """Write an event; numbers keep all of their digits."""
        is_decimal = isinstance(value, Decimal)
        text = _MARKS.get(event) or (str(value) if is_decimal else json.dumps(value))
        if not event.startswith("end_"):
            text = self._separator + text
        self._separator = ",\n"
        if event == "map_key":
            text += ":"
        if event.startswith(("start_", "map_key")):
            self._separator = ""
        self._file.write(text.encode())


def _events(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Yield what ijson says: where in the file, what, and a key's or a scalar's value."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            _check_start(path, start)
            file.seek(len(_BOM) if start.startswith(_BOM) else 0)
            yield from ijson.parse(_RepairedFile(file))
    except IsADirectoryError:
        raise Refusal(f"{path}: is a folder; {HINT}") from None
    except FileNotFoundError:
        raise Refusal(f"{path}: no such file; {HINT}") from None
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror})") from None
    except (ijson.JSONError, UnicodeDecodeError) as error:
        # the parser's message goes on with an excerpt of the file
        why = str(error).strip().split("\n")[0][:100]
        raise Refusal(f"{path}: broken or cut off JSON ({why})") from None


def _check_start(path: Path, start: bytes) -> None:
    text = start.removeprefix(_BOM).lstrip()
    if not text:
        raise Refusal(f"{path}: the file is empty; {HINT}")
    if text[:1] == b"<":
        raise Refusal(f"{path}: is a web page or XML, not JSON; {HINT}")
    if text[:1] != b"{":
        raise Refusal(f"{path}: not a Telegram export (a JSON object is expected); {HINT}")


def _messages(
    path: Path, around: Callable[[str, Any], None] = lambda event, value: None
) -> Iterator[tuple[Message, list[tuple[str, Any]]]]:
    """Yield every message and its events; `around` gets the parser's events that belong to none."""
    header: dict[str, Any] = {}
    builder: ObjectBuilder | None = None
    found = False
    position = 0
    for prefix, event, value in _events(path):
        if len(prefix) > _DEEPEST:
            raise Refusal(f"{path}: nested too deeply for a Telegram export; {HINT}")
        field = prefix.removeprefix(_LISTS[0]).removeprefix(_LISTS[1])  # within a chat, its own
        if event == "start_map" and field == "messages.item":
            builder, events = ObjectBuilder(), list[tuple[str, Any]]()
        if builder is not None:
            builder.event(event, value)
            events.append((event, value))
            if event == "end_map" and field == "messages.item":
                name = header.get("name") or header.get("type") or "chat"
                chat = Chat(str(header.get("id", position)), str(name))
                yield _message(path, chat, builder.value), events
                builder = None
            continue
        around(event, value)
        if event == "start_array" and field == "messages":
            found, position = True, position + 1
        elif event == "start_map" and prefix + "." in _LISTS:
            header = {}
        elif field in ("name", "type", "id"):
            header[field] = value
    if not found:
        raise Refusal(f"{path}: no chat found in it; {HINT}")


def _message(path: Path, chat: Chat, raw: dict[str, Any]) -> Message:
    try:
        return Message(
            chat=chat,
            id=int(raw["id"]),
            at=_time(raw),
            kind=str(raw.get("type", "message")),
            sender=_sender(raw),
            sender_name=_name(raw, "from", "actor"),
            text=_text(raw.get("text", "")),
            reply_to=None if "reply_to_peer_id" in raw else raw.get("reply_to_message_id"),
            forwarded="forwarded_from" in raw or "saved_from" in raw,
            forwarded_from=_name(raw, "forwarded_from", "saved_from"),
            via_bot="via_bot" in raw,
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        where = f"message {raw.get('id', '?')} of chat {chat.name!r}"
        raise Refusal(f"{path}: {where} is not as Telegram writes it ({error!r})") from None


def _name(raw: dict[str, Any], *keys: str) -> str | None:
    return next((str(raw[key]) for key in keys if raw.get(key)), None)


def _time(raw: dict[str, Any]) -> datetime:
    """Return the time in UTC; exports before 2022 have only a local time, which is taken as UTC."""
    if "date_unixtime" in raw:
        return datetime.fromtimestamp(int(raw["date_unixtime"]), UTC)
    if raw.get("type") == "unsupported":
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromisoformat(raw["date"]).replace(tzinfo=UTC)


def _sender(raw: dict[str, Any]) -> str | None:
    sender = raw.get("from_id", raw.get("actor_id"))
    if isinstance(sender, int):  # exports before 2021
        return f"user{sender}"
    if not isinstance(sender, str | None):
        raise TypeError(f"from_id is {type(sender).__name__}")
    return sender or raw.get("from")


def _text(text: Any) -> str:
    """Join the text: a string, or a list of strings and of entities with a `text` each."""
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else str(part["text"]) for part in text)
