"""Telegram Desktop's JSON export: a single chat, or an account with its chats and those it left.

Format: the export's own schema, and `export_output_json.cpp` of Telegram Desktop. A message that is
not as either says is counted by its reason and left out.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.bot_command import read_command
from contracts.placeholder import NAMES, placeholder
from extraction_jobs.json_reader import JsonReader
from extraction_jobs.messages import ELSEWHERE, LATEST, Chat, Found, Message

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\ud800-\udfff]")
"""Control signs but tab and line feed, and halves of letters, which no file takes."""
_MEDIA = {"video_message": "video_note", "file": "document"}
"""By the value of `media_type` or a key; otherwise the first word of either is the kind."""
Messages = Iterator[Message]
_RARE = frozenset(("media_type", "photo", "file", "poll", "game_title", "via_bot")).union(
    ("location_information", "contact_information", "inline_bot_buttons"),
    ("forwarded_from", "saved_from", "action"),
)
"""A message without any of these is told by its other fields."""


class Unreadable(ValueError):
    """A message cannot be used; the text is the reason under which it is counted."""


def read(path: Path, found: Found) -> Messages:
    """Yield every readable entry of every chat, in order. Raises Refusal, OSError."""
    chats: list[Chat] = []
    with path.open("rb") as file:
        reader = JsonReader(path, file, found.counts)
        yield from _object(reader, found, chats)
        if reader.delimiter or not chats:
            raise reader.refusal("goes on behind its end" if chats else "holds no chat")


def _object(reader: JsonReader, found: Found, chats: list[Chat], level: int = 0) -> Messages:
    """Yield the messages of the file's object, of its `chats` (1), or of a chat in these (2)."""
    header: dict[str, str | int] = {}
    for key in reader.entries():
        opening = reader.peek()
        if key == "messages" and opening == "[":
            kind = header.get("type") or ""
            name = header.get("name") or kind or "chat"
            # the oldest exports tell no id: others, read in the same run, number their chats too
            parts = (header.get("id", f"{name} {len(chats) + 1}"), name, kind)
            chats.append(Chat(*(_clean(str(part)) for part in parts)))
            for _ in reader.entries():
                try:
                    if (raw := reader.value()) is not None:
                        yield _message(chats[-1], raw)
                except Unreadable as reason:
                    found.counts[str(reason)] += 1
        elif level == 0 and key in ("chats", "left_chats") and opening == "{":
            yield from _object(reader, found, chats, level=1)
        elif level == 1 and key == "list" and opening == "[":
            for _ in reader.entries():
                yield from _object(reader, found, chats, level=2)
        else:
            value = reader.value()
            if key in ("name", "type", "id") and isinstance(value, str | int):
                header[key] = value
            if key == "personal_information" and isinstance(value, dict):
                found.owner = _sender(value.get("user_id")) or found.owner


def _message(chat: Chat, raw: Any) -> Message:
    """Return the entry as a message, or raise Unreadable."""
    if type(raw) is not dict or not _is_id(raw.get("id")):
        raise Unreadable("unreadable_id")
    get: Any = raw.get
    kind, reply_to = get("type", "message"), get("reply_to_message_id")
    if kind not in ("message", "service"):
        return Message(chat, get("id"), 0.0, "unsupported", None, None, "")
    if "reply_to_peer_id" in raw:
        reply_to = ELSEWHERE
    elif not _is_id(reply_to):
        reply_to = None
    name = _text(get("from") or get("actor") or "") or None
    sender = _sender(get("from_id") or get("actor_id")) or name
    text = _text(get("text", ""))
    is_command = text.startswith("/") and _is_command(raw, text)
    common = (chat, get("id"), _time(raw), kind, sender, name, text, reply_to)
    if _RARE.isdisjoint(raw):
        return Message(*common, is_command=is_command)
    origin = _text(get("forwarded_from") or get("saved_from") or "") or None
    # a history moved from another messenger; a channel's post among its comments is none
    is_own = bool(origin) and origin == name and not (sender or "").startswith("channel")
    is_forwarded = not is_own and ("forwarded_from" in raw or "saved_from" in raw)
    media = "" if kind == "service" else _media(raw)
    via_bot, is_bot = "via_bot" in raw, "inline_bot_buttons" in raw
    opens_topic = kind == "service" and get("action") == "topic_created"
    return Message(*common, is_forwarded, origin, via_bot, media, is_command, is_bot, opens_topic)


def _is_id(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**63


def _sender(sender: Any) -> str | None:
    """Return an id as Telegram writes it; before 2021 it was a number."""
    sender = f"user{sender}" if type(sender) is int else sender
    return _clean(sender) if type(sender) is str else None


def _time(raw: dict[str, Any]) -> float:
    """Return the unix time; exports before 2022 have only a local time, which is taken as UTC."""
    try:
        unix_time = raw.get("date_unixtime")
        at = float(unix_time or datetime.fromisoformat(raw["date"]).replace(tzinfo=UTC).timestamp())
    except (KeyError, TypeError, ValueError, OverflowError):
        at = -1.0
    if not 0.0 <= at < LATEST:
        raise Unreadable("unreadable_date")
    return at


def _text(text: Any) -> str:
    """Return a text that is a string, or a list of strings and of entities with a `text` each."""
    try:
        if type(text) is not str:
            text = "".join([part if type(part) is str else part["text"] for part in [*text]])
    except (TypeError, KeyError):
        raise Unreadable("unreadable_text") from None
    return _clean(text)


def _clean(text: str) -> str:
    return text if text.isprintable() else _UNSEEN.sub("", text)


def _is_command(raw: dict[str, Any], text: str) -> bool:
    """Return what the first entity says of a text with a leading slash; «/дом» is none."""
    entities = raw.get("text_entities", raw.get("text"))
    if not isinstance(entities, list):
        return read_command(text) is not None
    return any(type(part) is dict and part.get("type") == "bot_command" for part in entities[:1])


def _media(raw: dict[str, Any]) -> str:
    """Return the placeholder of what a message carries, "" for none."""
    keys = [key for key in (raw.get("media_type"), *raw) if type(key) is str]
    kinds = [_MEDIA.get(key, key.split("_")[0]) for key in keys]
    kind = next((kind for kind in kinds if kind in NAMES), "")
    poll = raw.get("poll")
    words = poll.get("question", "") if isinstance(poll, dict) else raw.get("sticker_emoji", "")
    return placeholder(kind, " ".join(_text(words).split())) if kind else ""
