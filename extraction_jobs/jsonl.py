"""Chats in a schema of our own: a JSON object a line, in UTF-8. What another messenger exports
becomes this (docs/export.md), and a stored export is written anew as this.

    at               required: unix seconds, or a time as in ISO 8601 (UTC where it names no zone)
    text             required; "" for a message of media alone
    sender, name     one is required: what tells people apart (`user5`; null if unknown), and what
                     they are called; each stands for the other where that is not in the line
    chat             its name; without it, the file's name
    chat_key         what tells chats apart; without it, the chat's name
    chat_kind        as Telegram names it: `private_group`, `bot_chat`, …
    id, reply_to     numbers or texts, of the message and of the one it answers, unique in a chat;
                     without them ids grow with time
    media            what stands beside the text: `photo`, `sticker`, …, or a placeholder `[фото]`
    kind             `service` for what people did not write; without it, `message`
    forwarded, forwarded_from, via_bot, is_command, is_bot, opens_topic: as in `Message`

A line `{"owner": "user5"}` says whose export it is. Further keys are ignored. A line that cannot be
read is counted under the key that is wrong.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from contracts.placeholder import placeholder
from contracts.refusal import Refusal
from extraction_jobs.messages import LATEST, Found, Message, readable

LONGEST = 1 << 23
"""Bytes of a line; what is longer comes in pieces, none of which is JSON."""
_USUAL = {**Message._field_defaults, "kind": "message", "chat_kind": ""}
_MESSAGE = TypeAdapter(Message, config=ConfigDict(coerce_numbers_to_str=True))


def read(path: Path, found: Found) -> Iterator[Message]:
    """Yield the messages of a file. Raises Refusal where it has none, OSError."""
    number, problem, chat = 0, "the file is empty", readable(path.stem)
    with path.open("rb") as file:
        for place, line in enumerate(iter(partial(file.readline, LONGEST), b""), 1):
            try:
                raw = from_json(line.removeprefix(b"\xef\xbb\xbf").strip() or b"{}")
                if raw.keys() == {"owner"}:
                    found.owner = str(raw["owner"])
                elif raw:
                    message = _MESSAGE.validate_python(_fields(raw, chat, number + 1))
                    number, problem = max(number, message.id), ""
                    yield message
            except (AttributeError, ValueError) as error:
                problems = error.errors() if isinstance(error, ValidationError) else []
                key = problems[0]["loc"][0] if problems else "json"
                found.counts[f"unreadable_{key}"] += 1
                if problem.endswith("empty"):
                    problem = f"line {place}: {key} is missing or wrong"
    if problem:
        raise Refusal(f"{path}: no message in it ({problem}); docs/export.md has the format")


def write(file: BinaryIO, messages: Iterable[Message], found: Found) -> None:
    """Write messages, and then the owner that was found, so that `read` gives them as they are."""
    for message in messages:
        key, chat, kind = message.chat
        line = {"at": message.at, **message._asdict()}  # first, by which a line is told
        line |= {"chat": chat, "chat_key": key, "chat_kind": kind}
        line["name"] = line.pop("sender_name")
        file.write(
            _encode({key: value for key, value in line.items() if value != _USUAL.get(key, ...)})
        )
    if found.owner:
        file.write(_encode({"owner": found.owner}))


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n"


def _fields(raw: dict[str, Any], chat: str, number: int) -> dict[str, Any]:
    """Return what a line gives of a `Message`; wrong values are left for its validation."""
    given = {key: value for key, value in raw.items() if value is not None}
    fields = {"kind": "message"} | {key: given[key] for key in given if key in Message._fields}
    chat, at, media = given.get("chat", chat), _seconds(given.get("at")), given.get("media", "")
    if not raw.keys().isdisjoint(("sender", "name")):
        fields["sender"] = raw.get("sender", raw.get("name"))
        fields["sender_name"] = raw.get("name", raw.get("sender"))
    if "reply_to" in given:
        fields["reply_to"] = _number(given["reply_to"])
    return fields | {
        "chat": (given.get("chat_key", chat), chat, given.get("chat_kind", "")),
        "at": at,
        "id": _number(given.get("id", max(number, int(at or 0) * 1000))),
        "media": media if str(media).startswith("[") or not media else placeholder(str(media)),
    }


def _seconds(at: Any) -> float | None:
    """Return a number of seconds, or the time of a text in ISO 8601; None where it is neither."""
    with suppress(TypeError, ValueError):
        if isinstance(at, str):
            moment = datetime.fromisoformat(at)
            at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        return at if 0 <= at < LATEST else None
    return None


def _number(id: Any) -> int:
    """Return a number, also one in a text; the hash of what is none or too long for SQLite."""
    digits = str(id).removeprefix("-")
    if digits.isdecimal() and len(digits) < 19:
        return int(id)
    return int.from_bytes(blake2b(str(id).encode(), digest_size=7).digest())
