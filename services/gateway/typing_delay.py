"""A person's typing: how long a line takes, the indicator meanwhile, and names that ping nobody."""

import re
from collections.abc import Container, Sequence
from itertools import accumulate

from contracts.clock import Clock
from services.gateway.bot_api import BotApi
from telemetry.logs import logger

LONGEST_SECONDS = 6.0
"""Nobody is kept waiting longer for one message."""
INDICATOR_SECONDS = 4.5
"""Telegram shows an action for five seconds."""
Where = tuple[int, int, Container[str]]
"""A chat, a topic, and the names of what else sends an answer to its place."""
_WORD_JOINER = "\u2060"
_MENTION = re.compile(r"(?<!\w)@(?=\w)")


def typing_delays(lines: Sequence[str], speed: float) -> list[float]:
    """Return after how many seconds each line is typed, at so many characters a second.

    A speed of 0 types at once.
    """
    if not speed:
        return [0.0] * len(lines)
    return list(accumulate(min(LONGEST_SECONDS, len(line) / speed) for line in lines))


def without_pings(text: str) -> str:
    """Return the text with its @names looking the same and notifying nobody.

    An at sign inside a word, as in a mail address, names nobody and stays as it is.
    """
    return _MENTION.sub(f"@{_WORD_JOINER}", text)


async def show_typing(api: BotApi, where: Where, clock: Clock) -> None:
    """Show that the bot types until it is cancelled.

    Ends at the first refusal: a chat that does not want it will not want it later. Telegram takes
    it in no direct messages to a channel.
    """
    chat, topic, place = where
    try:
        while "direct_messages_topic_id" not in place:
            await api.call(
                "sendChatAction", chat_id=chat, action="typing", message_thread_id=topic or None
            )
            await clock.sleep(INDICATOR_SECONDS)
    except Exception as error:
        logger().info("typing not shown", error=error)
