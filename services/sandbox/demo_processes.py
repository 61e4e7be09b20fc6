"""The demo's processes: started, waited for, watched and ended together; their logs in one file."""

import asyncio
import fcntl
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from contracts.refusal import Refusal
from services.sandbox.tied_process import end_tied, kill_all, start_tied

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


def _is_secret(variable: str) -> bool:
    if variable.startswith(("HF_", "HUGGING_FACE_")):  # by which bases are downloaded
        return False
    return variable.endswith(("_TOKEN", "_TOKENS")) or variable == "SANDBOX_PASSWORD"


def token_variable(bot: str) -> str:
    """Return the name of the variable that holds the bot's token."""
    return f"{bot.upper().replace('-', '_')}_TOKEN"


class Demo:
    """The processes, in the order in which they were started."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._log_file = _open_log(log)
        self._started_at = time.monotonic()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._guests = set[str]()
        # only a bot's own gateway gets its token, and no process the page's password
        self.environment = {k: v for k, v in os.environ.items() if not _is_secret(k)}

    def show(self, text: str) -> None:
        """Print what has happened, with the seconds since the start."""
        seconds = time.monotonic() - self._started_at
        print(f"[{seconds:5.1f} s] {text}", file=sys.stderr, flush=True)

    async def start(
        self, name: str, module: str, is_guest: bool = False, **environment: str
    ) -> None:
        """Start a module of ours.

        is_guest  the others go on without it
        """
        self._processes[name] = await start_tied(
            *(sys.executable, "-m", module),
            environment={**self.environment, "LOG_FORMAT": "json", **environment},
            stdout=self._log_file,
            stderr=self._log_file,
        )
        if is_guest:
            self._guests.add(name)

    def check(self) -> None:
        """Raise Refusal when one has ended, and is no guest; it says why where the log does."""
        for name, process in [*self._processes.items()]:
            if process.returncode is not None:
                why = _last_error(self._log) or f"{self._log} may say why"
                problem = f"{name} has ended with exit code {process.returncode}: {why}"
                if name not in self._guests:
                    raise Refusal(problem)
                kill_all(self._processes.pop(name))
                self.show(problem)

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
        while True:
            self.check()
            await asyncio.sleep(PROBE_SECONDS)

    async def stop(self, *names: str) -> None:
        """End these or all, the last started first, and kill what does not end in time."""
        chosen = names or [*reversed(self._processes)]
        stopped = [self._processes.pop(name) for name in chosen if name in self._processes]
        await end_tied(*stopped, seconds=STOP_SECONDS)

    @property
    def log(self) -> TextIO:
        """The log, for what this process itself logs."""
        return os.fdopen(self._log_file.fileno(), "a", buffering=1, closefd=False)


@dataclass(frozen=True)
class Gateways:
    """Starts and ends the bots' gateways; `where` is the environment that all of them have."""

    demo: Demo
    where: dict[str, str]

    async def start(self, bot: str, token: str, is_guest: bool = False) -> int:
        """Return the port of its health."""
        port = free_port(0)
        own = {"BOT": bot, "TELEGRAM_TOKEN": token, "METRICS_PORT": str(port), "DRAIN_SECONDS": "5"}
        name, module = f"gateway of {bot}", "services.gateway"
        await self.demo.start(name, module, is_guest, **own, **self.where)
        return port

    async def end(self, bot: str) -> None:
        await self.demo.stop(f"gateway of {bot}")


def free_port(wanted: int) -> int:
    """Return the wanted port of loopback, or another where that one is taken."""
    for port in (wanted, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise Refusal("no free port on 127.0.0.1")


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
