"""How fast Telegram lets a bot write into a chat, and when the next message may go.

Its limits (core.telegram.org/bots/faq): a message a second into a chat, twenty a minute into a
group. What a restart forgets, and what all chats together may get, Telegram's 429 tells.

When Telegram counts a message is not known, only that it has when it answers. So the time to a
chat's next message runs from the answer, and no delay on the way brings two too close together.
"""

from collections import deque

CHAT_SECONDS = 1.0
GROUP_COUNT, GROUP_SECONDS = 20, 60.0
MOST_CHATS = 1000


class RateLimit:
    """`now` is a time that nobody sets back; `scale` makes every span shorter or longer."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._chats: dict[int, deque[float]] = {}

    def next_slot(self, chat: int, now: float) -> float:
        """Return when the chat's next message may go, `now` or later."""
        sent = self._chats.get(chat, deque())
        times = [now]
        if sent:
            times.append(sent[-1] + CHAT_SECONDS * self._scale)
        if chat < 0 and len(sent) == GROUP_COUNT:
            times.append(sent[0] + GROUP_SECONDS * self._scale)
        return max(times)

    def take_slot(self, chat: int, now: float) -> None:
        """A message goes into the chat now."""
        self._chats.setdefault(chat, deque(maxlen=GROUP_COUNT)).append(now)
        if len(self._chats) > MOST_CHATS:
            old = now - GROUP_SECONDS * self._scale
            self._chats = {k: v for k, v in self._chats.items() if v[-1] > old}

    def move_slot(self, chat: int, now: float) -> None:
        """Telegram has answered to the chat's last message: that is when it may have counted it."""
        if times := self._chats.get(chat):
            times[-1] = now
