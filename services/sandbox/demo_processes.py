"""The demo's processes: started, waited for, watched and ended together; their logs in one file."""

import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from contracts.refusal import Refusal

STOP_SECONDS = 10.0
START_SECONDS = 60.0
LOG_TAIL = 65536
"""Bytes of the log in which it is looked for why a process has ended."""


class ProcessEnded(Refusal):
    """A process of the demo has ended though nobody asked it to; says why where its log does."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        reason = _last_error(log) or f"{log} may say why"
        super().__init__(f"{name} has ended with exit code {code}: {reason}")


def _last_error(log: Path) -> str:
    """The last refusal in the log, empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else ""


def token_of(bot: str) -> str:
    """Name of the variable that holds the bot's token."""
    return f"{bot.upper().replace('-', '_')}_TOKEN"


class Demo:
    """The processes, in the order in which they were started."""

    def __init__(self, say: Callable[[str], None], bots: Iterable[str], log: Path) -> None:
        self._say = say
        self._log = log
        self._log_file = _open_log(log)
        self._started_at = time.monotonic()
        self._processes: list[tuple[str, asyncio.subprocess.Process]] = []
        # each bot's token is its own gateway's alone
        tokens = {token_of(bot) for bot in bots}
        self._environment = {k: v for k, v in os.environ.items() if k not in tokens}

    def stage(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self._started_at:5.1f} s] {text}")

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
        """Raise ProcessEnded when one has ended."""
        for name, process in self._processes:
            if process.returncode is not None:
                raise ProcessEnded(name, process.returncode, self._log)

    async def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until it holds, while all processes live."""
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(holds):
            self.check()
            if time.monotonic() > deadline:
                seconds = f"{START_SECONDS:.0f} s"
                raise Refusal(f"{what}: not within {seconds}; {self._log} may say why")
            await asyncio.sleep(0.1)
        self.stage(what)

    async def watch(self) -> None:
        """Return never, but raise when a process ends."""
        ends = [asyncio.ensure_future(process.wait()) for _, process in self._processes]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self.check()

    async def stop(self) -> None:
        """End all, the last started first; what does not end in time is killed."""
        for _, process in reversed(self._processes):
            if process.returncode is None:
                process.terminate()
        waits = [process.wait() for _, process in self._processes]
        try:
            await asyncio.wait_for(asyncio.gather(*waits), STOP_SECONDS)
        except TimeoutError:
            for _, process in self._processes:
                if process.returncode is None:
                    process.kill()
                    await process.wait()


def _open_log(log: Path) -> BinaryIO:
    """The file, emptied, ours until all processes that got it have ended; or raise Refusal."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
    except BlockingIOError:
        raise Refusal(f"DEMO_LOG {log}: another demo logs there; name another file") from None
    except OSError as error:
        raise Refusal(f"DEMO_LOG {log}: cannot be written ({error.strerror})") from None
    return file
