"""A message as the page and the log show it. Pure."""

from aiogram.types import Message

from services.sandbox.content import media, service, words
from services.sandbox.keyboard import buttons
from services.sandbox.rooms import Room

Event = dict[str, object]


def view(room: Room, message: Message) -> Event:
    """Fields that are not told by their names:

    text       the words, the caption, or the name of a topic that was opened
    media      `sticker`, `voice`, `photo`, or None
    album      what groups photos, or None
    service    the field that makes it a service message (`forum_topic_created`, ...), or None
    reply_to   None for what merely stands in a topic, though bots are told its first message
    buttons    rows of {text, data}
    """
    author, answered = message.from_user, message.reply_to_message
    shown = answered if answered and not answered.forum_topic_created else None
    return {
        "room": room.key,
        "id": message.message_id,
        "from": author.id if author else None,
        "name": author.first_name if author else "",
        "text": words(message),
        "media": media(message),
        "album": message.media_group_id,
        "service": service(message),
        "reply_to": shown.message_id if shown else None,
        "thread": message.message_thread_id,
        "buttons": buttons(message),
        "at": int(message.date.timestamp()),
    }
