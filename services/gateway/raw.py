"""Updates as Telegram sends them, before anything reads them: where they belong. Never raises."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_MESSAGES = ("message", "edited_message")


class Place(NamedTuple):
    """Ids; 0 where there is none."""

    chat: int
    topic: int
    sender: int


def place_of(update: Mapping[str, Any]) -> Place:
    message = _message(update)
    if not message:
        button = _part(update, "callback_query")
        about = _part(button, "message") or _part(update, "my_chat_member")
        return Place(_id(_part(about, "chat")), 0, _id(_part(button, "from")))
    topic = message.get("message_thread_id") if message.get("is_topic_message") else 0
    sender = _part(message, "sender_chat") or _part(message, "from")
    return Place(_id(_part(message, "chat")), _number(topic), _id(sender))


def goes_on(update: Mapping[str, Any], until: float) -> bool:
    """Whether it is a new message, of that time or before, with words that are no command."""
    message = _part(update, "message")
    text, date = message.get("text") or message.get("caption"), message.get("date")
    spoken = isinstance(text, str) and bool(text.strip()) and not text.startswith("/")
    return spoken and isinstance(date, int | float) and date <= until


def _message(update: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((found for kind in _MESSAGES if (found := _part(update, kind))), {})


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _id(value: Mapping[str, Any]) -> int:
    return _number(value.get("id"))


def _number(value: object) -> int:
    """SQLite's integers have 64 bits."""
    return value if isinstance(value, int) and abs(value) < 1 << 63 else 0
