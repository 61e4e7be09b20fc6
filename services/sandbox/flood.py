"""Telegram's limits on sending, and how long one who went over them has to wait. Pure.

CHAT    one message a second on average, a burst of three tolerated
GROUP   20 messages a minute, in groups only
BOT     30 messages a second, over all chats of the bot

Only messages that were taken count; a refused one does not make the wait longer.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Limit:
    """At most `count` messages within any `seconds`."""

    count: int
    seconds: float

    def wait(self, times: "deque[float]", now: float) -> float:
        if len(times) < self.count:
            return 0.0
        return times[-self.count] + self.seconds - now


CHAT, GROUP, BOT = Limit(3, 3.0), Limit(20, 60.0), Limit(30, 1.0)


def _history() -> "deque[float]":
    return deque(maxlen=max(limit.count for limit in (CHAT, GROUP, BOT)))


class Flood:
    """What each bot has sent lately. `refused` counts the messages that were told to wait."""

    def __init__(self, on: bool = False) -> None:
        self.on = on
        self.refused = 0
        self._bots: dict[str, deque[float]] = defaultdict(_history)
        self._chats: dict[tuple[str, int], deque[float]] = defaultdict(_history)

    def switch(self, on: bool) -> None:
        """Switched on, it begins with nothing sent."""
        self.on = on
        self._bots.clear()
        self._chats.clear()

    def wait(self, bot: str, chat: int, private: bool, now: float) -> int:
        """Whole seconds until a message would be taken; 0: it is taken now."""
        if not self.on:
            return 0
        there = self._chats[bot, chat]
        waits = [CHAT.wait(there, now), BOT.wait(self._bots[bot], now)]
        if not private:
            waits.append(GROUP.wait(there, now))
        seconds = max(0, ceil(round(max(waits), 3)))
        self.refused += seconds > 0
        return seconds

    def took(self, bot: str, chat: int, now: float) -> None:
        self._bots[bot].append(now)
        self._chats[bot, chat].append(now)
