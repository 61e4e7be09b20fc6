"""What `make setup` installs besides what serves, once somebody wants to teach a bot."""

import asyncio
import shutil
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path

from contracts.refusal import Refusal
from services.sandbox.tied_process import tied_process

INSTALLED = ".venv/.ready"
FAILED = "the packages for training cannot be installed"


class TrainingPackages:
    """`environment` is that of the processes."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._task: asyncio.Task[None] | None = None
        self._problem = ""
        self._ready = asyncio.Event()
        self._started_at, self._free = 0.0, 0

    def install(self) -> None:
        """Begin, unless they are there or being installed."""
        if not self._ready.is_set() and (self._task is None or self._task.done()):
            self._problem, self._started_at = "", time.monotonic()
            self._free = shutil.disk_usage(".").free
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
            "megabytes": max(0, self._free - shutil.disk_usage(".").free) // 10**6,
        }

    async def _install(self) -> None:
        try:
            if await self._make("-q", INSTALLED):
                await self._make("setup", problem=FAILED)
            self._ready.set()
        except (Refusal, OSError) as error:
            self._problem = str(error)

    async def _make(self, *arguments: str, problem: str = "") -> int:
        """Return its exit code; with `problem`, raise Refusal where it fails."""
        output = PIPE if problem else DEVNULL
        streams = {"stdout": output, "stderr": STDOUT}
        async with tied_process(
            "make", *arguments, environment=self._environment, **streams
        ) as process:
            said = (await process.communicate())[0] if problem else b""
            code = await process.wait()
        if problem and code:
            raise Refusal(f"{problem}: {_reason(said.decode(errors='replace'))}")
        return code


def _reason(said: str) -> str:
    """Return the last line that says what is wrong, and not that something is."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("make")] or lines
    wrong = [line for line in told if "error" in line.lower()] or told
    return wrong[-1].removeprefix("ERROR: ")[:300] if wrong else "make said nothing"


def is_possible(bots_dir: Path) -> bool:
    """Whether this is a checkout of the project, in which `make` finds the bots."""
    return Path("Makefile").is_file() and bots_dir == Path("k8s/bots")
