"""What `make setup` installs besides what serves, once somebody wants to teach a bot."""

import asyncio
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.sandbox.tied_process import run_tied

INSTALLED = ".venv/.ready"
FAILED = "the packages for training cannot be installed"


class TrainingPackages:
    """`environment` is that of the processes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._task: asyncio.Task[None] | None = None
        self._problem = ""
        self._ready = asyncio.Event()
        self._started_at, self._free, self._most = 0.0, 0, 0

    def install(self) -> None:
        """Begin, unless they are there or being installed."""
        if not self._ready.is_set() and (self._task is None or self._task.done()):
            self._problem, self._started_at = "", time.monotonic()
            self._free, self._most = shutil.disk_usage(".").free, 0
            self._task = asyncio.create_task(self._install())

    async def wait(self) -> None:
        self.install()
        await self._ready.wait()

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def view(self) -> dict[str, object]:
        is_installing = self._task is not None and not self._task.done()
        return {
            "isReady": self._ready.is_set(),
            "isInstalling": is_installing,
            "problem": self._problem,
            "seconds": time.monotonic() - self._started_at if is_installing else 0,
            "megabytes": self._megabytes(),
        }

    def _megabytes(self) -> int:
        """Return about how much is there already, whatever others delete meanwhile."""
        self._most = max(self._most, self._free - shutil.disk_usage(".").free)
        return self._most // 10**6

    async def _install(self) -> None:
        try:
            code, _ = await run_tied("make", "-q", INSTALLED, environment=self._environment)
            if code:
                code, said = await run_tied("make", "setup", environment=self._environment)
            if code:
                self._problem = f"{FAILED}: {_reason(said)}"
            else:
                self._ready.set()
        except OSError as error:
            self._problem = f"{FAILED}: {error.strerror}"


def _reason(said: Sequence[str]) -> str:
    """Return the last line that says what is wrong, and not that something is."""
    told = [line.strip() for line in said if line.strip() and not line.startswith("make")]
    wrong = [line for line in told if "error" in line.lower()] or told or ["make said nothing"]
    return wrong[-1].removeprefix("ERROR: ")[:300]


def is_possible(bots_dir: Path) -> bool:
    """Whether this is a checkout of the project, in which `make` finds the bots."""
    return Path("Makefile").is_file() and bots_dir == Path("k8s/bots")
