"""What a message consists of: words, or a sticker, a voice message or a photo. Pure.

Files have ids and no bytes: nothing here can be downloaded.
"""

from typing import Any, Literal

from aiogram.types import Message, PhotoSize, Sticker, Voice

from services.sandbox.entities import MAX_CAPTION, accepted, entities, limited
from services.sandbox.errors import bad_request

Media = Literal["sticker", "voice", "photo"]


def content(text: str, media: Media | None, album: str | None, number: int) -> dict[str, Any]:
    """Fields of a message; with media the text is its caption, `number` makes its file's id."""
    if media is None:
        return _words(text)
    if media == "sticker" and text:
        raise bad_request("a sticker has no caption")
    return {media: _file(media, number), "media_group_id": album, **_caption(text)}


def edited(message: Message, text: str) -> dict[str, Any]:
    """Fields of the message that another text changes."""
    if message.text is not None:
        return _words(text)
    if message.photo or message.voice:
        return _caption(text)
    raise bad_request("there is no text in the message to edit")


def words(message: Message) -> str:
    """The text or the caption; of a topic's first message, the topic's name."""
    if message.forum_topic_created:
        return message.forum_topic_created.name
    return message.text or message.caption or ""


def media(message: Message) -> Media | None:
    if message.sticker:
        return "sticker"
    if message.voice:
        return "voice"
    return "photo" if message.photo else None


def service(message: Message) -> str | None:
    """Which service message it is, by the field's name; None: somebody wrote it."""
    for name in ("forum_topic_created", "migrate_to_chat_id", "migrate_from_chat_id"):
        if getattr(message, name) is not None:
            return name
    return None


def _words(text: str) -> dict[str, Any]:
    text = accepted(text)
    return {"text": text, "entities": entities(text) or None}


def _caption(text: str) -> dict[str, Any]:
    text = limited(text, MAX_CAPTION, "message caption is too long")
    return {"caption": text or None, "caption_entities": entities(text) or None}


def _file(media: Media, number: int) -> object:
    name = f"{media}-{number}"
    if media == "voice":
        return Voice(file_id=name, file_unique_id=name, duration=1)
    if media == "photo":
        return [PhotoSize(file_id=name, file_unique_id=name, width=640, height=480)]
    return Sticker(
        file_id=name,
        file_unique_id=name,
        type="regular",
        width=512,
        height=512,
        is_animated=False,
        is_video=False,
        emoji="🙂",
    )
