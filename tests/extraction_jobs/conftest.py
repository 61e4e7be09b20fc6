"""Builders that this room's tests share: messages as sources give them, and Telegram's exports."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from extraction_jobs.messages import Chat, Message

Entry = dict[str, Any]
Save = Callable[[object], Path]

START = datetime(2025, 1, 1, 10, tzinfo=UTC)
CHAT = Chat("1", "Kitchen")
IDS = {"Anna": 5012345671, "Boris": 5012345672, "Clara": 5012345673}


def message(id: int = 1, sender: str | None = "user1", minute: float = 0, **fields: Any) -> Message:
    """`message(7, "anna", minute=3, reply_to=2)`; its text is its number unless given."""
    at = START + timedelta(minutes=minute)
    plain = Message(CHAT, id, at, "message", sender, sender_name=None, text=str(id))
    return replace(plain, **fields)


def talk(script: str) -> list[Message]:
    """`talk("anna boris>1 - anna")`: a word a message, `>` what it answers, `-` a day's pause.

    Messages are a minute apart; id and text are the message's number.
    """
    messages: list[Message] = []
    minute = 0
    for word in script.split():
        minute += 1440 if word == "-" else 1
        if word != "-":
            sender, _, answered = word.partition(">")
            reply_to = int(answered) if answered else None
            messages.append(message(len(messages) + 1, sender, minute, reply_to=reply_to))
    return messages


def entry(
    id: int = 1, name: str = "Anna", text: object = None, minute: float | None = None
) -> Entry:
    """An entry of an export as Telegram Desktop writes it; `entry(1) | {...}` changes fields."""
    at = START + timedelta(minutes=id if minute is None else minute)
    return {
        "id": id,
        "type": "message",
        "date": at.strftime("%Y-%m-%dT%H:%M:%S"),
        "date_unixtime": str(int(at.timestamp())),
        "from": name,
        "from_id": f"user{IDS[name]}",
        "text": f"message {id}" if text is None else text,
    }


def chat(*entries: Entry, **header: Any) -> Entry:
    """A single chat's export of these entries."""
    plain = {"name": "Kitchen", "type": "private_group", "id": 77}
    return {**plain, **header, "messages": list(entries)}


MIXED = chat(
    entry(1, "Boris", "hi"),
    entry(2, "Anna", ["hello, ", {"type": "bold", "text": "Boris"}]),
    entry(3) | {"type": "service", "action": "pin_message"},
    {"id": 4, "type": "unsupported"},
    entry(5) | {"from": None, "from_id": None},
    entry(6) | {"forwarded_from": None},
    entry(7) | {"via_bot": "@gif"},
    entry(8, text="") | {"media_type": "sticker"},
    entry(9, text="/start"),
    entry(10, text="a" * 3000),
    entry(11, "Clara", "who is there?"),
    entry(12, "Boris", "we are"),
    entry(13, "Boris", "nobody?", minute=1000),
    entry(14, "Anna", "a photo", minute=2000) | {"photo": "(File not included.)"},
)
"""Everything that an export may hold; usable are 1, 2, 11, 12, 13 (lone) and 14."""


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a result.json: bytes as they are, anything else as JSON."""

    def write(content: object) -> Path:
        path = tmp_path / "result.json"
        if not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False).encode()
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where the data set goes; not made yet."""
    return tmp_path / "dataset"
