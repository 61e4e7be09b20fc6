"""The demo's processes: started, waited for, watched and ended together; their logs in one file."""

import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from contracts.refusal import Refusal

STOP_SECONDS = 10.0
START_SECONDS = 60.0
PROBE_SECONDS = 0.1
LOG_TAIL = 65536
"""Bytes of the log in which the demo looks for the reason why a process has ended."""


def _last_error(log: Path) -> str:
    """Return the last refusal in the log, empty where there is none."""
    lines = log.read_bytes()[-LOG_TAIL:].decode(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else ""


def token_variable(bot: str) -> str:
    """Return the name of the variable that holds the bot's token."""
    return f"{bot.upper().replace('-', '_')}_TOKEN"


class Demo:
    """The processes, in the order in which they were started."""

    def __init__(self, bots: Iterable[str], log: Path) -> None:
        self._log = log
        self._log_file = _open_log(log)
        self._started_at = time.monotonic()
        self._processes: list[tuple[str, asyncio.subprocess.Process]] = []
        # only a bot's own gateway gets its token
        tokens = {token_variable(bot) for bot in bots}
        self._environment = {k: v for k, v in os.environ.items() if k not in tokens}

    def show(self, text: str) -> None:
        """Print what has happened, with the seconds since the start."""
        seconds = time.monotonic() - self._started_at
        print(f"[{seconds:5.1f} s] {text}", file=sys.stderr, flush=True)

    async def start(self, name: str, module: str, **environment: str) -> None:
        """Start a module of ours in a session of its own: a terminal's Ctrl-C reaches only us."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            env={**self._environment, "LOG_FORMAT": "json", **environment},
            start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._log_file,
            stderr=self._log_file,
        )
        self._processes.append((name, process))

    def check(self) -> None:
        """Raise Refusal when one has ended; it says why where the log does."""
        for name, process in self._processes:
            if process.returncode is not None:
                why = _last_error(self._log) or f"{self._log} may say why"
                raise Refusal(f"{name} has ended with exit code {process.returncode}: {why}")

    async def wait_until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it holds, while all processes live."""
        give_up = time.monotonic() + START_SECONDS
        self.check()
        while not await holds():
            if time.monotonic() > give_up:
                raise Refusal(f"{what}: not within {START_SECONDS:.0f} s; {self._log} may say why")
            await asyncio.sleep(PROBE_SECONDS)
            self.check()
        self.show(what)

    async def watch(self) -> None:
        """Never return, but raise when a process ends."""
        ends = [asyncio.ensure_future(process.wait()) for _, process in self._processes]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self.check()

    async def stop(self) -> None:
        """End all, the last started first, and kill what does not end in time."""
        running = [each for _, each in reversed(self._processes) if each.returncode is None]
        for process in running:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await asyncio.gather(*(process.wait() for process in running))
        except TimeoutError:
            for process in running:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


def _open_log(log: Path) -> BinaryIO:
    """Open the file, emptied, or raise Refusal.

    It stays locked until all processes that inherit it have ended, even where the demo was killed.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
    except BlockingIOError:
        raise Refusal(f"DEMO_LOG {log}: a demo is running already (or name another file)") from None
    except OSError as error:
        raise Refusal(f"DEMO_LOG {log}: cannot be written ({error.strerror})") from None
    return file
