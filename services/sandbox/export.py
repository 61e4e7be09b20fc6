"""A chat as Telegram Desktop exports it in JSON, so that a bot can learn from it. Pure."""

from collections.abc import Iterator
from typing import Any

from aiogram.types import Message

from services.sandbox.messages import buttons
from services.sandbox.rooms import Room

SUPERGROUPS = -1_000_000_000_000
"""What Telegram's ids of supergroups count down from; exports have them without it."""


def export(room: Room) -> dict[str, Any]:
    """Return the object of a `result.json`, a private chat's as its person would export it."""
    messages = [_message(each) for each in room.messages.values()]
    if room.is_private:
        bot = room.bots[0].user
        return {"name": bot.first_name, "type": "bot_chat", "id": bot.id, "messages": messages}
    number = SUPERGROUPS - room.chat.id
    head = {"name": room.chat.title, "type": "private_supergroup", "id": number}
    return {**head, "messages": messages}


def _message(message: Message) -> dict[str, Any]:
    author, answered, parts = message.from_user, message.reply_to_message, list(_parts(message))
    is_plain = all(part["type"] == "plain" for part in parts)
    mixed = [part["text"] if part["type"] == "plain" else part for part in parts]
    fields: dict[str, Any] = {
        "id": message.message_id,
        "type": "message",
        "date": message.date.astimezone().strftime("%Y-%m-%dT%H:%M:%S"),
        "date_unixtime": str(int(message.date.timestamp())),
        "from": author.first_name if author else None,
        "from_id": f"user{author.id}" if author else None,
    }
    if answered:
        fields["reply_to_message_id"] = answered.message_id
    fields |= {"text": message.text if is_plain else mixed, "text_entities": parts}
    if rows := buttons(message):
        fields["inline_bot_buttons"] = [[{"type": "callback", **each} for each in r] for r in rows]
    return fields


def _parts(message: Message) -> Iterator[dict[str, str]]:
    """Yield the text in order, as marked parts and plain ones; offsets are in UTF-16 units."""
    units, done = (message.text or "").encode("utf-16-le"), 0
    for each in message.entities or ():
        begin, end = 2 * each.offset, 2 * (each.offset + each.length)
        if done < begin:
            yield {"type": "plain", "text": units[done:begin].decode("utf-16-le")}
        yield {"type": each.type, "text": units[begin:end].decode("utf-16-le")}
        done = end
    if done < len(units):
        yield {"type": "plain", "text": units[done:].decode("utf-16-le")}
