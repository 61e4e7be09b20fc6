"""The real gateway's process between a Telegram and a generation that note when messages pass.

Both stand-ins run in the caller's process and keep nothing of a message once it is answered, so a
run may be as long as it likes. Every message needs a text of its own: by it the answer is found.
"""

import asyncio
import json
import os
import signal
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
from services.sandbox.faults import Call
from tests.services.gateway.conftest import FakeGeneration, candidate
from tests.services.gateway.telegram import TOKEN, FakeTelegram, serving

ROOT = Path(__file__).parents[2]
BOT = "avtobus"
MANNERS = "{burst_seconds: 0, typing_speed: 0, hourly_limit: 1000000000}"
ECHO = "эхо: "
STARTS_WITHIN = 60.0

Answered = Callable[[str, float], None]
"""Gets a text, and the seconds from handing it out to its answer, without generation's."""


class Ways:
    """Messages on their way, by text; `answered` is called at the end of each."""

    def __init__(self) -> None:
        self.answered: Answered = lambda _text, _delay: None
        self._handed_out: dict[str, float] = {}
        self._generation: dict[str, float] = {}

    def handed_out(self, text: str) -> None:
        self._handed_out.setdefault(text, time.perf_counter())

    def generated(self, text: str, seconds: float) -> None:
        self._generation[text] = seconds

    def arrived(self, text: str) -> None:
        """An answer; a second one to the same text counts for nothing."""
        if text in self._handed_out:
            spent = time.perf_counter() - self._handed_out.pop(text)
            self.answered(text, spent - self._generation.pop(text))


class TimedTelegram(FakeTelegram):
    """`polled` is set from the gateway's first call for updates on; keeps nothing it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.ways = Ways()
        self.polled = asyncio.Event()
        self.on_call = self._arrived

    async def answer(self, request: web.Request) -> web.Response:
        answer = await super().answer(request)
        if request.match_info["method"] == "getUpdates":
            self.polled.set()
            for update in json.loads(answer.text or "")["result"]:
                self.ways.handed_out(update["message"]["text"])
        self._forget()
        return answer

    def _arrived(self, call: Call) -> None:
        if call.method == "sendMessage":
            self.ways.arrived(call.parameters["text"].removeprefix(ECHO))

    def _forget(self) -> None:
        self.received.clear()
        self.messenger.sent.clear()
        for room in self.world.open_rooms.values():
            room.messages.clear()


class TimedGeneration(FakeGeneration):
    """Echoes the last message after so many seconds."""

    def __init__(self, ways: Ways, seconds: float) -> None:
        super().__init__()
        self._ways, self._seconds = ways, seconds

    async def Generate(  # noqa: N802
        self, request: pb.GenerateRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.GenerateResponse:
        began = time.perf_counter()
        if self._seconds:
            await asyncio.sleep(self._seconds)
        text = request.turns[-1].messages[-1]
        self._ways.generated(text, time.perf_counter() - began)
        return pb.GenerateResponse(candidates=[candidate(ECHO + text)], model_version="toy/1")


@dataclass(frozen=True)
class Timed:
    """A gateway at work and what is around it."""

    telegram: TimedTelegram
    pid: int

    @property
    def ways(self) -> Ways:
        return self.telegram.ways

    def cpu_ms(self) -> float:
        """What the process has had so far, its threads together: utime and stime of proc(5)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [kilobytes] = [line.split()[1] for line in status if line.startswith("VmRSS:")]
        return int(kilobytes) / 1024


def database(folder: Path) -> Path:
    return folder / BOT / "gateway.sqlite3"


@asynccontextmanager
async def timed(folder: Path, generation_seconds: float) -> AsyncIterator[Timed]:
    """A gateway that polls, inside the block; its database and log lie in the folder."""
    telegram = TimedTelegram()
    generation = TimedGeneration(telegram.ways, generation_seconds)
    async with serving(telegram), _generation(generation):
        environment = _environment(telegram.url, generation.address, folder)
        async with _process(environment, folder / "log") as process:
            async with asyncio.timeout(STARTS_WITHIN):
                await telegram.polled.wait()
            yield Timed(telegram, process.pid)


@asynccontextmanager
async def _generation(fake: TimedGeneration) -> AsyncIterator[None]:
    server = grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield
    await server.stop(None)


@asynccontextmanager
async def _process(
    environment: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateway's own process; raises RuntimeError with its log when it does not end well."""
    command = (sys.executable, "-m", "services.gateway")
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, cwd=ROOT, stdout=output, stderr=output
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


def _environment(telegram: str, generation: str, folder: Path) -> dict[str, str]:
    (folder / f"{BOT}.yaml").write_text(f"name: {BOT}\ngateway: {MANNERS}\n")
    return {
        "BOT": BOT,
        "BOTS_DIR": str(folder),
        "TELEGRAM_TOKEN": TOKEN,
        "TELEGRAM_API": telegram,
        "GATEWAY_DATA_DIR": str(folder),
        "GENERATION_ADDRESS": generation,
        "METRICS_PORT": "0",
        "GATEWAY_DELAYS": "0",
        "LOG_FORMAT": "json",
    }
