"""Messages: their texts, entities and keyboards, and how the page shows them. Pure.

Texts are limited as in Telegram; mentions and commands are found in them, but no links, hashtags
or markup.
"""

import re
from typing import Any

from aiogram.types import InlineKeyboardMarkup, Message, MessageEntity

from services.sandbox.errors import bad_request

MAX_TEXT = 4096
"""In UTF-16 units, the stricter reading of Telegram's limit."""
MAX_BUTTON_BYTES = 64
Event = dict[str, object]
"""What happened, in the JSON of the page's events."""
_ENTITIES = (
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z0-9_]{4,32}(?!\w)")),
    (
        "bot_command",
        re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{4,32})?(?![\w/<>@])"),
    ),
)


def text_fields(text: str) -> dict[str, Any]:
    """Return the fields of a message with that text; raises ApiError if it is empty or too long."""
    text = text.strip()
    if not text:
        raise bad_request("message text is empty")
    if utf16_length(text) > MAX_TEXT:
        raise bad_request("message is too long")
    return {"text": text, "entities": entities(text) or None}


def entities(text: str) -> list[MessageEntity]:
    """Return mentions and commands in the order in which they stand in the text."""
    found = [
        MessageEntity(
            type=kind,
            offset=utf16_length(text[: match.start()]),
            length=utf16_length(match.group()),
        )
        for kind, pattern in _ENTITIES
        for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda entity: entity.offset)


def utf16_length(text: str) -> int:
    """Telegram counts in UTF-16 code units: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def accepted_markup(markup: object) -> InlineKeyboardMarkup | None:
    """Return the keyboard as it is kept; an empty one is none."""
    if markup is None:
        return None
    if not isinstance(markup, InlineKeyboardMarkup):
        raise bad_request("unsupported reply_markup")
    data = [button.callback_data or "" for row in markup.inline_keyboard for button in row]
    if any(len(each.encode()) > MAX_BUTTON_BYTES for each in data):
        raise bad_request("BUTTON_DATA_INVALID")
    return markup if any(markup.inline_keyboard) else None


def buttons(message: Message) -> list[list[dict[str, str | None]]]:
    """Return rows of {text, data}; data is None where a button cannot be pressed."""
    rows = message.reply_markup.inline_keyboard if message.reply_markup else []
    return [[{"text": b.text, "data": b.callback_data} for b in row] for row in rows]


def view(room: str, message: Message) -> Event:
    """Return what the page shows of a message; `buttons` are rows of {text, data}."""
    author, answered = message.from_user, message.reply_to_message
    return {
        "room": room,
        "id": message.message_id,
        "from": author.id if author else None,
        "name": author.first_name if author else "",
        "text": message.text,
        "reply_to": answered.message_id if answered else None,
        "buttons": buttons(message),
        "at": int(message.date.timestamp()),
    }
