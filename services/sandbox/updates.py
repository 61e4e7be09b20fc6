"""A bot's queue of updates: long polling, offsets, what it wishes to hear of.

An update is kept until a poll with a greater offset confirms it. Knows nothing of chats.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiogram.types import Update

from services.sandbox.errors import conflict

MAX_SECONDS = 50
MAX_LIMIT = 100


class Updates:
    def __init__(self, first_id: int = 1) -> None:
        self._kept: deque[Update] = deque()
        self._next_id = first_id
        self._allowed: frozenset[str] = frozenset()
        self._poller: asyncio.Future[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def polled(self) -> bool:
        """Whether a poll waits."""
        return self._poller is not None and not self._poller.done()

    def put(self, kind: str, content: Any) -> None:
        """Keep an update of a kind (`message`, ...) unless the bot did not ask for it."""
        if self._allowed and kind not in self._allowed:
            return
        self._kept.append(Update.model_validate({"update_id": self._next_id, kind: content}))
        self._next_id += 1
        self._wake()

    async def poll(
        self, offset: int, limit: int, seconds: float, allowed: Sequence[str] | None
    ) -> list[Update]:
        """What is kept, waiting for something if there is nothing.

        A poll that comes while another waits takes its place; the earlier one gets 409.
        """
        if self._poller and self.polled:
            self._poller.set_exception(conflict())
        if allowed is not None:
            self._allowed = frozenset(allowed)
        self._forget(offset)
        if not self._kept and seconds > 0 and not self._closed:
            self._poller = asyncio.get_running_loop().create_future()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poller, min(seconds, MAX_SECONDS))
        return list(self._kept)[: min(max(limit, 1), MAX_LIMIT)]

    def clear(self) -> None:
        self._kept.clear()

    def close(self) -> None:
        """Let the poll that waits end, and wait no more."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._poller and self.polled:
            self._poller.set_result(None)

    def _forget(self, offset: int) -> None:
        """A negative offset counts from the end."""
        while self._kept and offset < 0 and len(self._kept) > -offset:
            self._kept.popleft()
        while self._kept and offset > 0 and self._kept[0].update_id < offset:
            self._kept.popleft()
