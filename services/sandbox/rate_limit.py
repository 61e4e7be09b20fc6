"""Telegram's limits on sending, and how long a bot that went over them has to wait. Pure.

CHAT    one message a second on average, a burst of three tolerated
GROUP   20 messages a minute, in groups only
BOT     30 messages a second, over all chats of the bot

Only accepted messages count; a refused one does not make the wait longer.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Limit:
    """At most `count` messages within any `seconds`."""

    count: int
    seconds: float

    def wait(self, times: deque[float], now: float) -> float:
        if len(times) < self.count:
            return 0.0
        return times[-self.count] + self.seconds - now


CHAT, GROUP, BOT = Limit(3, 3.0), Limit(20, 60.0), Limit(30, 1.0)


def _recent() -> deque[float]:
    return deque(maxlen=max(limit.count for limit in (CHAT, GROUP, BOT)))


class FloodLimit:
    """When each bot sent lately; `refused` counts the messages that had to wait."""

    def __init__(self, on: bool = False) -> None:
        self.refused = 0
        self.switch(on)

    def switch(self, on: bool) -> None:
        """Switched on, it begins with nothing sent."""
        self.on = on
        self._bots: dict[str, deque[float]] = defaultdict(_recent)
        self._chats: dict[tuple[str, int], deque[float]] = defaultdict(_recent)

    def wait(self, bot: str, chat: int, private: bool, now: float) -> int:
        """Return the whole seconds until a message would be accepted; 0 accepts it now."""
        if not self.on:
            return 0
        in_chat = self._chats[bot, chat]
        in_group = 0.0 if private else GROUP.wait(in_chat, now)
        longest = max(CHAT.wait(in_chat, now), in_group, BOT.wait(self._bots[bot], now))
        seconds = max(0, ceil(round(longest, 3)))
        self.refused += seconds > 0
        return seconds

    def count(self, bot: str, chat: int, now: float) -> None:
        """Count a message that was accepted."""
        self._bots[bot].append(now)
        self._chats[bot, chat].append(now)
