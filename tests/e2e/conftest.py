"""Two gateways and the stand-in for Telegram, over real HTTP, in one process; generation echoes."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from contracts.conversation import Conversation
from services.gateway.bot_api import open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.lifecycle import serve
from tests.conftest import PATIENCE
from tests.services.gateway.conftest import settings_for
from tests.services.gateway.generation import FakeGeneration, fake_generation
from tests.services.sandbox.conftest import TOKENS, Sandbox, running

NAMES = {"avtobus": ("автобус", "автобуса"), "polkson": ("полксон",)}


@dataclass
class Town:
    """The sandbox with its people, and the gateways' numbers by bot."""

    sandbox: Sandbox
    generation: FakeGeneration
    folder: Path
    registries: dict[str, CollectorRegistry] = field(default_factory=dict)

    def metric(self, bot: str, name: str, **labels: str) -> float:
        return self.registries[bot].get_sample_value(f"persona_gateway_{name}", labels) or 0.0

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 (other processes' servers are waited for)
                await asyncio.sleep(0.01)

    async def counts(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until avtobus' gateway has counted so much."""

        async def is_counted() -> bool:
            return self.metric("avtobus", name, **labels) >= wanted

        await self.until(is_counted)

    async def hears(self, *texts: str) -> None:
        """Wait until the bots have said all of this."""

        async def all_said() -> bool:
            return set(texts) <= set(await self.sandbox.sent())

        try:
            await self.until(all_said)
        except TimeoutError:
            pytest.fail(f"{texts} were not all said: {await self.sandbox.sent()}")

    async def still(self) -> list[str]:
        """What has been said once no bot has anything left to read, to answer or to send."""
        said: list[str] = []

        async def nothing_is_left() -> bool:
            nonlocal said
            before = await self._read_all()
            idle = all(map(self._idle, self.registries))
            said = await self.sandbox.sent()
            return before == (True, said) and idle and (await self._read_all())[0]

        await self.until(nothing_is_left)
        return said

    async def _read_all(self) -> tuple[bool, list[str]]:
        """Whether all bots wait for news, and what has been said by then."""
        log = await self.sandbox.get("/admin/log")
        return set(log["polling"]) >= set(self.registries), [each["text"] for each in log["sent"]]

    def _idle(self, bot: str) -> bool:
        """Whether its database holds nothing to be done."""
        with closing(sqlite3.connect(self.folder / bot / "gateway.sqlite3")) as database:
            left = database.execute(
                "SELECT (SELECT count(*) FROM updates WHERE state = 'new')"
                " + (SELECT count(*) FROM outbox WHERE state IN ('planned', 'sending'))"
            )
            return bool(left.fetchone() == (0,))

    @asynccontextmanager
    async def gateway(
        self,
        bot: str,
        delays: float = 0.0,
        drain: float = PATIENCE,
        explain: bool = False,
        **config: Any,
    ) -> AsyncIterator[None]:
        """A bot's gateway inside the block, ended as by SIGTERM."""
        own: dict[str, object] = {"telegram_token": TOKENS[bot], "bot": bot}
        own |= {"gateway_delays": delays, "drain_seconds": drain}
        own |= {"explain_answers": explain}
        address = self.generation.address
        settings = settings_for(self.sandbox.url, address, self.folder, **own)
        calm = {"burst_seconds": 0.0, "typing_speed": 0.0, "names": NAMES[bot]}
        stop, registry = asyncio.Event(), CollectorRegistry()
        self.registries[bot] = registry
        async with open_bot_api(settings) as client:
            wanted = GatewayConfig.model_validate({**calm, **config})
            working = asyncio.create_task(
                serve(settings, wanted, Conversation(), client, stop, registry=registry)
            )
            try:
                await self.sandbox.polled(bot)
                yield
            finally:
                stop.set()
                await working


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running(time.time))
        generation = await stack.enter_async_context(fake_generation())
        yield Town(sandbox, generation, tmp_path)
