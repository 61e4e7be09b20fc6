"""Deaths over versions, which outlive this process where it has a folder for its state.

When a container runs out of memory, the kernel kills all of its processes at once. So a death is
counted before a version is loaded, and taken back when the version has answered.
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


class Deaths:
    """How often the engine, or all of the service, died over a version since it was loaded last."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._counts = Counter[VersionKey]()
        if folder:
            with suppress(OSError, ValueError, TypeError):  # none, or not whole
                rows = json.loads((folder / FILE).read_bytes())
                self._counts.update({(bot, version): count for bot, version, count in rows})

    def of(self, key: VersionKey) -> int:
        return self._counts[key]

    @asynccontextmanager
    async def counted(self, key: VersionKey) -> AsyncIterator[None]:
        """Count a death for the time of the block, and for longer if the engine dies in it.

        After a block without an error the version has no deaths.
        """
        before, after = self.of(key), 0
        await self.set(key, before + 1)
        try:
            yield
        except EngineDown:
            after = before + 1
            raise
        except BaseException:
            after = before
            raise
        finally:
            await self.set(key, after)

    async def set(self, key: VersionKey, count: int) -> None:
        self._counts[key] = count
        self._counts += Counter()  # which removes a count of zero
        if self._folder:
            await asyncio.to_thread(self._write, self._folder)

    def _write(self, folder: Path) -> None:
        rows = [[*key, count] for key, count in self._counts.items()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / FILE, json.dumps(rows))
        except OSError as error:  # versions are served all the same
            logger().warning("deaths cannot be kept", folder=str(folder), reason=error.strerror)
