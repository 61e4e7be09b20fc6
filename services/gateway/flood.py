"""How fast Telegram lets a bot write, and when the next message may go. Pure but for its memory.

Its limits (core.telegram.org/bots/faq): a message a second into a chat, twenty a minute into a
group, thirty a second in all. What a restart forgets, Telegram's 429 tells. When Telegram counted a
message is not known, but that it had when it answered: from then on the time of the chat's next one
runs, so that no delay on the way brings two of a chat closer together than they may be.
"""

from collections import deque

CHAT_SECONDS = 1.0
GROUP_COUNT, GROUP_SECONDS = 20, 60.0
ALL_COUNT, ALL_SECONDS = 30, 1.0


class Flood:
    """`scale` makes every span shorter or longer."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._all: deque[float] = deque(maxlen=ALL_COUNT)
        self._chats: dict[int, deque[float]] = {}

    def due(self, chat: int, now: float) -> float:
        """When the chat's next message may go, `now` or later."""
        self._not_later_than(now)
        sent = self._chats.get(chat, deque())
        times = [now]
        if len(self._all) == ALL_COUNT:
            times.append(self._all[0] + ALL_SECONDS * self._scale)
        if sent:
            times.append(sent[-1] + CHAT_SECONDS * self._scale)
        if chat < 0 and len(sent) == GROUP_COUNT:
            times.append(sent[0] + GROUP_SECONDS * self._scale)
        return max(times)

    def sent(self, chat: int, now: float) -> None:
        """A message goes into the chat now."""
        self._all.append(now)
        self._chats.setdefault(chat, deque(maxlen=GROUP_COUNT)).append(now)
        self._forget(now)

    def answered(self, chat: int, left_at: float, now: float) -> None:
        """Telegram has answered to the message that went at `left_at`."""
        self.taken_back(chat, left_at)
        self.sent(chat, now)

    def taken_back(self, chat: int, left_at: float) -> None:
        """The message of that moment did not go."""
        for times in (self._all, self._chats.get(chat, deque())):
            if left_at in times:  # it is not where the clock was set back
                times.remove(left_at)

    def _not_later_than(self, now: float) -> None:
        """A clock that was set back must not keep chats waiting until it is there again."""
        if self._all and self._all[-1] > now:
            for times in (self._all, *self._chats.values()):
                for place, time in enumerate(times):
                    times[place] = min(time, now)

    def _forget(self, now: float) -> None:
        if len(self._chats) > 1000:
            old = now - GROUP_SECONDS * self._scale
            self._chats = {
                key: each for key, each in self._chats.items() if each and each[-1] > old
            }
