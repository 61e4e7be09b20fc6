"""A world for the gateway: Telegram, generation and time, all ours."""

import asyncio
import heapq
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry

from contracts.clock import Clock
from contracts.conversation import Conversation
from services.gateway import polling
from services.gateway.bot_api import BotApi, open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.lifecycle import serve
from services.gateway.settings import GatewaySettings
from services.gateway.texts import Texts
from tests.conftest import PATIENCE
from tests.services.gateway.generation import FakeGeneration, fake_generation
from tests.services.gateway.telegram import TOKEN, FakeTelegram, fake_telegram, of

TEXTS = Texts(unavailable="Стоим в пробке.")
CONFIG = GatewayConfig(names=("автобус", "Водитель"), burst_seconds=0, typing_speed=0, texts=TEXTS)
"""Manners that take time have tests of their own."""


class FakeClock(Clock):
    """Time stands still until it is told to go on; who sleeps does not mind it set back."""

    def __init__(self) -> None:
        self._now = 1_800_000_000.0
        self._gone_by = 0.0
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._gone_by

    async def sleep(self, seconds: float) -> None:
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._gone_by + seconds, next(self._order), over))
        await over

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock; no time goes by."""
        self._now += seconds

    def sleeps(self, seconds: float) -> bool:
        """Whether somebody has so long to sleep from now on."""
        until = self._gone_by + seconds
        return any(abs(at - until) < 1e-3 for at, _, over in self._waiting if not over.done())

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._gone_by += max(0.0, seconds)
        while self._waiting and self._waiting[0][0] <= self._gone_by + 1e-6:
            over = heapq.heappop(self._waiting)[2]
            if not over.done():
                over.set_result(None)


@dataclass
class Running:
    """A gateway at work."""

    port: int
    registry: CollectorRegistry
    stop: asyncio.Event
    ended: "asyncio.Task[None]"

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"persona_gateway_{name}", labels) or 0.0

    async def probe(self, path: str) -> int:
        """Return the status with which a probe of Kubernetes is answered."""
        address = f"http://127.0.0.1:{self.port}/{path}"
        async with ClientSession() as http, http.get(address) as answer:
            return answer.status

    async def kill(self) -> None:
        self.ended.cancel()
        await asyncio.gather(self.ended, return_exceptions=True)


@dataclass
class World:
    """What surrounds a gateway; `running` is the one started last, `patch` lasts for the test."""

    telegram: FakeTelegram
    generation: FakeGeneration
    api: BotApi
    settings: GatewaySettings
    clock: FakeClock = field(default_factory=FakeClock)
    config: GatewayConfig = CONFIG
    running: Running = field(init=False)
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def configure(self, delays: float = 0.0, **more: Any) -> None:
        """Set keys of bot.yaml; with `delays` pauses take their time."""
        self.config = CONFIG.model_copy(update=more)
        self.settings = self.settings.model_copy(update={"gateway_delays": delays})

    async def start(self) -> Running:
        """A gateway on the world's database; the one before must have ended."""
        registry, stop = CollectorRegistry(), asyncio.Event()
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        given = self.settings, self.config, Conversation(), self.api, stop, started
        ended = asyncio.create_task(serve(*given, clock=self.clock, registry=registry))
        waiting: list[asyncio.Future[Any]] = [started, ended]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await ended
        self.running = Running(started.result(), registry, stop, ended)
        return self.running

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Running]:
        """A gateway inside the block, ended as by SIGTERM."""
        running = await self.start()
        try:
            yield running
        finally:
            running.stop.set()
            await running.ended

    async def until(
        self, holds: Callable[[], bool], step: float = 0.0, seconds: float = PATIENCE
    ) -> None:
        """Let everything run, and time go on by `step`, until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self.clock.advance(step)
                await asyncio.sleep(0.002)

    async def counts(self, metric: str, value: float = 1, step: float = 0.0, **labels: str) -> None:
        """Wait until the gateway's metric has that value."""
        await self.until(lambda: self.running.metric(metric, **labels) == value, step)

    async def asks_generation(self, times: int = 1, step: float = 0.0) -> None:
        """Wait until generation has got so many requests."""
        await self.until(lambda: len(self.generation.requests) >= times, step)

    async def says(self, *texts: str, chat: int | None = None, step: float = 0.0) -> None:
        """Wait for as many messages of the bot's: they are these, since the test began."""
        await self.until(lambda: len(self.telegram.texts(chat)) >= len(texts), step)
        assert self.telegram.texts(chat) == list(texts)

    async def ask(self, *messages: dict[str, Any]) -> list[str]:
        """Return what the bot says to messages, each of which it answers."""
        before = len(self.telegram.sent)
        for message in messages:
            wanted = len(self.telegram.sent) + 1
            self.telegram.put(message)
            await self.until(lambda wanted=wanted: len(self.telegram.sent) >= wanted)  # type: ignore[misc]
            await self.counts("outbox_size", 0)
        return self.telegram.texts()[before:]

    async def slow_down(self, message: dict[str, Any], seconds: int) -> None:
        """Somebody writes where Telegram takes no answer for so long."""
        chat = message["chat"]["id"]
        self.telegram.fault = of("sendMessage", 429, chat=chat, retry_after=seconds)
        limited = self.running.metric("rate_limited_total")
        self.telegram.put(message)
        await self.counts("rate_limited_total", limited + 1)
        self.telegram.fault = None

    async def wait_out(self, seconds: float, unchanged: Callable[[], object]) -> None:
        """Somebody sleeps for so long; until shortly before its end nothing changes."""
        await self.until(lambda: self.clock.sleeps(seconds))
        before = unchanged()
        self.clock.advance(seconds - 0.1)
        await self.settle()
        assert unchanged() == before
        self.clock.advance(0.1)

    async def rests(self) -> None:
        """Wait until housekeeping, which makes room on a disk, has done what is due at a start."""
        await self.until(lambda: len(self.clock._waiting) >= 6)

    async def settle(self, seconds: float = 0.06) -> None:
        """Give whatever must not happen the time to happen."""
        await asyncio.sleep(seconds)

    async def talk(self, *messages: dict[str, Any]) -> None:
        """People write; returns when the gateway has confirmed all to Telegram."""
        self.telegram.put(*messages)
        last = self.telegram.updates[-1]["update_id"]
        await self.until(lambda: (self.telegram.offsets or [0])[-1] == last + 1)

    async def handled(self, step: float = 0.0) -> None:
        """Wait until every update has its end, and what answers it is sent."""
        await self.until(lambda: not self.telegram.updates)
        with closing(sqlite3.connect(self.settings.database)) as db:
            query = "SELECT count(*) FROM updates WHERE state = 'new'"
            await self.until(lambda: db.execute(query).fetchone() == (0,), step)
        await self.counts("outbox_size", 0, step)


def cases(names: str, table: Iterable[tuple[Any, ...]]) -> pytest.MarkDecorator:
    """Parametrize a test by a table, of which each row begins with its name."""
    rows = list(table)
    return pytest.mark.parametrize(names, [row[1:] for row in rows], ids=[row[0] for row in rows])


def settings_for(url: str, address: str, folder: Path, **more: object) -> GatewaySettings:
    values = {
        "telegram_api": url,
        "telegram_token": TOKEN,
        "bot": "avtobus",
        "gateway_data_dir": folder,
        "generation_address": address,
        "metrics_port": 0,
        "drain_seconds": PATIENCE,
        "forget_dir": folder / "forget",
        "gateway_delays": 0.0,
        **more,
    }
    return GatewaySettings.model_validate(values)


@pytest.fixture(scope="session")
async def servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[FakeTelegram, FakeGeneration, BotApi]]:
    async with fake_telegram() as fake, fake_generation() as generation:
        folder = tmp_path_factory.mktemp("unused")
        async with open_bot_api(settings_for(fake.url, generation.address, folder)) as api:
            yield fake, generation, api


@pytest.fixture
def world(
    servers: tuple[FakeTelegram, FakeGeneration, BotApi],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    fake, generation, api = servers
    fake.reset()
    generation.reset()
    monkeypatch.setattr(polling, "FLOOR_SECONDS", 0.0)  # time that stands still brings no update
    settings = settings_for(fake.url, generation.address, tmp_path)
    return World(fake, generation, api, settings, patch=monkeypatch)


@pytest.fixture
def copies(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job beside the world's gateway; returns where copies go."""
    world.clock.jump(datetime.now(UTC).timestamp() - world.clock.now())
    folders = {"DATA_DIR": tmp_path / "data", "GATEWAY_DATA_DIR": world.settings.gateway_data_dir}
    for name, value in {"BOT": world.settings.bot, **folders}.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path / "copies"
