"""A bot's queue of updates: long polling and offsets.

An update is kept until a poll with a greater offset confirms it. Knows nothing of chats.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from aiogram.types import TelegramObject

from services.sandbox.errors import conflict

LONGEST_POLL = 50.0
MAX_LIMIT = 100
QueuedUpdate = dict[str, Any]
"""An update as its bot gets it, in JSON's types."""


def dump(content: TelegramObject) -> Any:
    """Write it as Telegram does: absent fields are left out, dates are unix time."""
    return content.model_dump(mode="json", by_alias=True, exclude_none=True)


class UpdateQueue:
    """The updates that a bot has not confirmed yet, and the poll that waits for more."""

    def __init__(self, first_id: int = 1, longest_poll: float = LONGEST_POLL) -> None:
        self.pending: deque[QueuedUpdate] = deque()
        self._next_id = first_id
        self._longest_poll = longest_poll
        self._poller: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def is_polled(self) -> bool:
        """Whether a poll waits."""
        return self._poller is not None and not self._poller.done()

    def put(self, kind: str, content: TelegramObject) -> None:
        """Keep an update of a kind (`message`, ...), whichever kinds the bot asks for."""
        self.put_raw({kind: dump(content)})

    def put_raw(self, update: QueuedUpdate) -> None:
        """Keep an update as it is, true to Telegram's or not, under the next id."""
        self.pending.append({"update_id": self._next_id, **update})
        self._next_id += 1
        self._wake()

    async def poll(self, offset: int, limit: int, seconds: float) -> list[QueuedUpdate]:
        """Return what is kept, waiting for an update while there is none.

        A poll that comes while another waits takes its place; the earlier one gets 409.
        """
        if self._poller and self.is_polled:
            self._poller.set_exception(conflict())
        self._forget(offset)
        if not self.pending and seconds > 0 and not self._closed:
            self._poller = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poller, min(seconds, self._longest_poll))
        return list(self.pending)[: min(max(limit, 1), MAX_LIMIT)]

    def close(self) -> None:
        """End the poll that waits, and let none wait any more."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._poller and self.is_polled:
            self._poller.set_result(None)

    def _forget(self, offset: int) -> None:
        """A negative offset counts from the end."""
        while self.pending and offset < 0 and len(self.pending) > -offset:
            self.pending.popleft()
        while self.pending and offset > 0 and self.pending[0]["update_id"] < offset:
            self.pending.popleft()
