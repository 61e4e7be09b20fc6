"""What the owner is told, and what outlives the chat: the list of the forgotten.

`forget.jsonl` is read by extraction, which leaves those people's messages out of the data set.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiogram.types import User

from contracts.forget import Forgotten, append
from services.gateway.pace import Pace
from services.gateway.store import Store
from services.gateway.thinking import Thinking


@dataclass(frozen=True)
class Office:
    """`forget_file` is the bot's forget.jsonl; `polled` tells when a poll last succeeded."""

    bot_name: str
    forget_file: Path
    store: Store
    thinking: Thinking
    pace: Pace
    polled: Callable[[], float]

    async def forget(self, person: User) -> None:
        """Write the person down; raises OSError when the volume does not take it."""
        names = tuple(dict.fromkeys(filter(None, (person.full_name, person.username))))
        entry = Forgotten(user_id=person.id, names=names, at=self.pace.now())
        await asyncio.to_thread(append, self.forget_file, entry)

    async def status(self) -> str:
        """For the owner: version, queues, the last poll. Nothing of what people wrote."""
        waiting = len(await self.store.waiting()) - 1  # but for this command
        _, planned = await self.store.outbox.chats()
        polled = self.polled()
        ago = f"{self.pace.now() - polled:.0f} с назад" if polled else "ещё не было"
        return (
            f"{self.bot_name}: версия модели {self.thinking.version or 'ещё не известна'}\n"
            f"Не разобрано сообщений: {waiting}\nНе отправлено: {planned}\n"
            f"Последний опрос Telegram: {ago}"
        )
