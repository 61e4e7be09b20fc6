"""A gateway's real process, between a Telegram and a generation that note when messages pass.

Both stand-ins run in the caller's process and keep nothing of a message once it is answered, so a
run may be as long as it likes. Every message needs a text of its own: by it the answer is found.
"""

import asyncio
import json
import os
import signal
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from tests.services.gateway.generation import FakeGeneration, candidate
from tests.services.gateway.telegram import TOKEN, FakeTelegram, serving
from tests.services.sandbox.faults import Call

BOT = "avtobus"
CONFIG = "{burst_seconds: 0, typing_speed: 0, hourly_limit: 1000000000}"
ECHO = "эхо: "
STARTS_WITHIN = 60.0
COMMITS_AT = 8
"""Where the header of SQLite's wal-index counts the transactions that wrote (iChange)."""

Answered = Callable[[str, float], None]
"""Gets a text, and the seconds from handing it out to its answer, without generation's."""


class Journeys:
    """Messages under way, by text; `answered` is called at the end of each."""

    def __init__(self) -> None:
        self.answered: Answered = lambda _text, _delay: None
        self._begun: dict[str, float] = {}
        self._generation: dict[str, float] = {}

    def begin(self, text: str) -> None:
        self._begun.setdefault(text, time.perf_counter())

    def add_generation(self, text: str, seconds: float) -> None:
        self._generation[text] = seconds

    def end(self, text: str) -> None:
        """End a journey at its answer; a second answer to the same text counts for nothing."""
        if text in self._begun:
            spent = time.perf_counter() - self._begun.pop(text)
            self.answered(text, spent - self._generation.pop(text))


class TimedTelegram(FakeTelegram):
    """`polled` is set from the gateway's first call for updates on."""

    def __init__(self) -> None:
        super().__init__()
        self.journeys = Journeys()
        self.polled = asyncio.Event()
        self.on_call = self._end_journey

    async def answer(self, request: web.Request) -> web.Response:
        answer = await super().answer(request)
        if request.match_info["method"] == "getUpdates":
            self.polled.set()
            for update in json.loads(answer.text or "")["result"]:
                self.journeys.begin(update["message"]["text"])
        self._forget()
        return answer

    def _end_journey(self, call: Call) -> None:
        if call.method == "sendMessage":
            self.journeys.end(call.parameters["text"].removeprefix(ECHO))

    def _forget(self) -> None:
        self.received.clear()
        self.messenger.sent.clear()
        for room in self.world.open_rooms.values():
            room.messages.clear()


class TimedGeneration(FakeGeneration):
    """Echoes the last message after so many seconds."""

    def __init__(self, journeys: Journeys, seconds: float) -> None:
        super().__init__()
        self._journeys, self._seconds = journeys, seconds

    async def Generate(  # noqa: N802
        self, request: pb.GenerateRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.GenerateResponse:
        began = time.perf_counter()
        if self._seconds:
            await asyncio.sleep(self._seconds)
        text = request.turns[-1].messages[-1]
        self._journeys.add_generation(text, time.perf_counter() - began)
        return pb.GenerateResponse(candidates=[candidate(ECHO + text)], model_version="toy/1")


@dataclass(frozen=True)
class GatewayProcess:
    """A gateway at work and what is around it."""

    telegram: TimedTelegram
    pid: int
    folder: Path

    @property
    def journeys(self) -> Journeys:
        return self.telegram.journeys

    def cpu_ms(self) -> float:
        """Return the CPU time of all threads so far: utime and stime of proc(5)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self, field: str = "VmRSS") -> float:
        """Return the memory that the process has, or with VmHWM the most it ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [kilobytes] = [line.split()[1] for line in status if line.startswith(f"{field}:")]
        return int(kilobytes) / 1024

    def commits(self) -> int:
        """Return how many transactions have written to the database since it was opened."""
        indexes = [path.read_bytes() for path in self.folder.rglob("*-shm")]
        return sum(struct.unpack_from("=I", index, COMMITS_AT)[0] for index in indexes)

    def database_mb(self) -> float:
        """Return the size of the database and its log."""
        return sum(path.stat().st_size for path in self.folder.rglob("*.sqlite3*")) / 1e6


@asynccontextmanager
async def running_gateway(
    tree: Path, folder: Path, generation_seconds: float
) -> AsyncIterator[GatewayProcess]:
    """Run the gateway of a working tree until the block ends; its data and log lie in `folder`."""
    telegram = TimedTelegram()
    generation = TimedGeneration(telegram.journeys, generation_seconds)
    async with serving(telegram), _serving_generation(generation):
        environment = gateway_environment(telegram.url, TOKEN, generation.address, folder)
        async with _process(tree, environment, folder / "log") as process:
            async with asyncio.timeout(STARTS_WITHIN):
                await telegram.polled.wait()
            yield GatewayProcess(telegram, process.pid, folder)


@asynccontextmanager
async def _serving_generation(fake: TimedGeneration) -> AsyncIterator[None]:
    server = grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield
    await server.stop(None)


@asynccontextmanager
async def _process(
    tree: Path, environment: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the process; raises RuntimeError with its log when it does not end well."""
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.gateway"),
            env={**os.environ, "PYTHONPATH": str(tree), **environment},
            cwd=tree,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        if code := await process.wait():
            raise _failed(code, log)


def _failed(code: int, log: Path) -> RuntimeError:
    return RuntimeError(f"the gateway ended with {code}: {log.read_text()}")


def gateway_environment(telegram: str, token: str, generation: str, folder: Path) -> dict[str, str]:
    """Write the bot's file into the folder, and return the variables of its gateway."""
    (folder / f"{BOT}.yaml").write_text(f"name: {BOT}\ngateway: {CONFIG}\n")
    return {
        "BOT": BOT,
        "BOTS_DIR": str(folder),
        "TELEGRAM_TOKEN": token,
        "TELEGRAM_API": telegram,
        "GATEWAY_DATA_DIR": str(folder),
        "GENERATION_ADDRESS": generation,
        "METRICS_PORT": "0",
        "GATEWAY_DELAYS": "0",
        "LOG_FORMAT": "json",
    }
