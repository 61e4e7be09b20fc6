"""Messages: what they may hold, their entities and keyboards, and how the page shows them. Pure.

Texts are limited as in Telegram; mentions and commands are found in them, but no links, hashtags
or markup. Files have ids and no bytes: nothing here can be downloaded.
"""

import re
from typing import Any, Literal, get_args

from aiogram.types import InlineKeyboardMarkup, Message, MessageEntity, PhotoSize, Sticker, Voice

from services.sandbox.errors import bad_request

MAX_TEXT = 4096
MAX_CAPTION = 1024
MAX_BUTTON_BYTES = 64
Media = Literal["sticker", "voice", "photo"]
Event = dict[str, object]
"""What happened, in the JSON of the page's events."""
_SERVICE = ("forum_topic_created", "migrate_to_chat_id", "migrate_from_chat_id")
_ENTITIES = (
    ("mention", re.compile(r"(?<![\w@])@[A-Za-z0-9_]{4,32}(?!\w)")),
    (
        "bot_command",
        re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{4,32})?(?![\w/<>@])"),
    ),
)


def new_fields(text: str, media: Media | None, album: str | None, number: int) -> dict[str, Any]:
    """Return a message's fields; with media the text is its caption, `number` makes its file id."""
    if media is None:
        return _text(text)
    if media == "sticker" and text:
        raise bad_request("a sticker has no caption")
    return {media: _file(media, number), "media_group_id": album, **_caption(text)}


def edit_fields(message: Message, text: str) -> dict[str, Any]:
    """Return the fields of the message that another text changes."""
    if message.text is not None:
        return _text(text)
    if message.photo or message.voice:
        return _caption(text)
    raise bad_request("there is no text in the message to edit")


def shown_text(message: Message) -> str:
    """Return the text or the caption; of a topic's first message, the topic's name."""
    if message.forum_topic_created:
        return message.forum_topic_created.name
    return message.text or message.caption or ""


def service(message: Message) -> str | None:
    """Return the field that makes it a service message; None: somebody wrote it."""
    return next((name for name in _SERVICE if getattr(message, name) is not None), None)


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
    """Return what the page shows of a message. Fields that their names do not explain:

    text       the words, the caption, or the name of a topic that was opened
    media      `sticker`, `voice`, `photo`, or None
    album      what groups photos, or None
    service    the field that makes it a service message (`forum_topic_created`, ...), or None
    reply_to   None for what merely stands in a topic, though bots get its first message there
    buttons    rows of {text, data}
    """
    author, answered = message.from_user, message.reply_to_message
    shown = answered if answered and not answered.forum_topic_created else None
    return {
        "room": room,
        "id": message.message_id,
        "from": author.id if author else None,
        "name": author.first_name if author else "",
        "text": shown_text(message),
        "media": next((media for media in get_args(Media) if getattr(message, media)), None),
        "album": message.media_group_id,
        "service": service(message),
        "reply_to": shown.message_id if shown else None,
        "thread": message.message_thread_id,
        "buttons": buttons(message),
        "at": int(message.date.timestamp()),
    }


def _text(text: str) -> dict[str, Any]:
    if not text.strip():
        raise bad_request("message text is empty")
    text = _limited(text, MAX_TEXT, "message is too long")
    return {"text": text, "entities": entities(text) or None}


def _caption(text: str) -> dict[str, Any]:
    text = _limited(text, MAX_CAPTION, "message caption is too long")
    return {"caption": text or None, "caption_entities": entities(text) or None}


def _limited(text: str, longest: int, otherwise: str) -> str:
    """Return the stripped text; the limit counts UTF-16 units, the stricter reading."""
    text = text.strip()
    if utf16_length(text) > longest:
        raise bad_request(otherwise)
    return text


def _file(media: Media, number: int) -> object:
    ids: dict[str, Any] = dict.fromkeys(("file_id", "file_unique_id"), f"{media}-{number}")
    if media == "voice":
        return Voice(**ids, duration=1)
    if media == "photo":
        return [PhotoSize(**ids, width=640, height=480)]
    ids |= {"width": 512, "height": 512, "is_animated": False, "is_video": False}
    return Sticker(**ids, type="regular", emoji="🙂")
