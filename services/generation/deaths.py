"""Deaths over versions, which outlive this process where it has a folder for its state.

When a container runs out of memory, the kernel kills all of its processes at once. So a death is
counted before a version is loaded, and taken back when the version has answered.

It may have had another cause: a restart of the node, another version. So a version that has
answered once is forgiven some more.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from contracts.files import write_whole
from services.generation.engine.protocol import VersionKey
from services.generation.errors import EngineDown
from telemetry.logs import logger

FILE = "deaths.json"
SERVED = -8
"""The count of a version that has answered."""


class Deaths:
    """How often the engine, or all of the service, died over a version since it was loaded last."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.counts = Counter[VersionKey]()
        with suppress(OSError, ValueError, TypeError):  # none, or not whole
            rows = json.loads((folder / FILE).read_bytes()) if folder else ()
            self.counts.update({(bot, version): count for bot, version, count in rows})

    @asynccontextmanager
    async def counted(self, key: VersionKey) -> AsyncIterator[None]:
        """Count a death for the time of the block, and for longer if the engine dies in it."""
        before = self.counts[key]
        await self.set(key, before + 1)
        try:
            yield
        except EngineDown:
            raise
        except BaseException:
            await self.set(key, before)
            raise
        await self.set(key, before)

    async def set(self, key: VersionKey, count: int) -> None:
        self.counts[key] = count
        if self._folder:
            rows = [[*key, count] for key, count in self.counts.items() if count]
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(write_whole, self._folder / FILE, json.dumps(rows))
            except OSError as error:  # versions are served all the same
                logger().warning("deaths cannot be kept", reason=error.strerror)
