"""Texts the way Telegram takes them: their limits, and mentions and commands in UTF-16 units.

Pure. Links, hashtags and markup are not recognised.
"""

import re

from aiogram.types import MessageEntity

from services.sandbox.errors import bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024
_KINDS = (
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z0-9_]{4,32}(?!\w)")),
    (
        "bot_command",
        re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{4,32})?(?![\w/<>@])"),
    ),
)


def utf16_length(text: str) -> int:
    """Telegram counts in UTF-16 code units: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def accepted(text: str) -> str:
    """The text of a message as it is stored."""
    if not text.strip():
        raise bad_request("message text is empty")
    return limited(text, MAX_TEXT, "message is too long")


def limited(text: str, longest: int, otherwise: str) -> str:
    """The stripped text; the limit is counted in UTF-16 units, the stricter reading."""
    text = text.strip()
    if utf16_length(text) > longest:
        raise bad_request(otherwise)
    return text


def entities(text: str) -> list[MessageEntity]:
    """Entities in the order in which they stand in the text."""
    found = [
        MessageEntity(
            type=kind,
            offset=utf16_length(text[: match.start()]),
            length=utf16_length(match.group()),
        )
        for kind, pattern in _KINDS
        for match in pattern.finditer(text)
    ]
    return sorted(found, key=lambda entity: entity.offset)
