"""Is this message for the bot? Pure functions of the message and the bot.

Knows neither the chat's settings nor the store nor the network.
"""

import re
from functools import lru_cache

from services.gateway.decision import Reason
from services.gateway.incoming import Identity, Message


def spoken_text(message: Message, me: Identity) -> str:
    """Return what was said without the bot's own @username, which nobody says among friends."""
    said = re.sub(rf"@{re.escape(me.username)}(?!\w)[,:;]?", "", message.text, flags=re.I)
    return " ".join(said.split()) or message.text


def addressed(message: Message, me: Identity) -> Reason | None:
    """Return why the message is for the bot, None when it is not.

    In words that are not the sender's own no name counts.
    """
    if message.is_private:
        return Reason.PRIVATE
    own_words = not message.is_borrowed
    if own_words and (reason := _mentioned(message, me)) is not None:
        return reason
    if message.replies_to(me.id):
        return Reason.REPLY
    return Reason.NAME if own_words and is_called(me.names, message.text) else None


def _mentioned(message: Message, me: Identity) -> Reason | None:
    for entity, words in message.marked_parts():
        if entity.type == "text_mention" and entity.user_id == me.id:
            return Reason.TEXT_MENTION
        if entity.type == "mention" and words.lower() == f"@{me.username}".lower():
            return Reason.MENTION
    return None


def is_called(names: tuple[str, ...], text: str) -> bool:
    """Whether a name stands in the text as a whole word; case and ё for е do not matter."""
    return bool(names) and _any_of(names).search(_folded(text)) is not None


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[str]:
    choice = "|".join(re.escape(_folded(name)) for name in names)
    return re.compile(rf"(?<![\w@/])(?:{choice})(?!\w)")


def _folded(text: str) -> str:
    return text.casefold().replace("ё", "е")
