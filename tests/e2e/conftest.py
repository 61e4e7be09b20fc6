"""Two gateways and the stand-in for Telegram, over real HTTP, in one process; generation echoes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.gateway.config import GatewayConfig
from services.gateway.server import Outside, serve, telegram
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import FakeGeneration, fake_generation
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

    async def said(self, bot: str | None = None) -> list[str]:
        """What the bots sent, in order."""
        log = (await self.sandbox.get("/admin/log"))["sent"]
        return [each["text"] for each in log if bot in (None, each["bot"])]

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 (other processes' servers are waited for)
                await asyncio.sleep(0.01)

    async def hears(self, *texts: str, seconds: float = 10.0) -> None:
        """Wait until the bots have said all of this."""

        async def all_said() -> bool:
            return set(texts) <= set(await self.said())

        try:
            await self.until(all_said, seconds)
        except TimeoutError:
            raise AssertionError(f"{texts} were not all said: {await self.said()}") from None

    async def still(self, seconds: float = 0.4) -> list[str]:
        """What has been said once nobody says anything any more."""
        before: list[str] = []
        while (now := await self.said()) != before or not before:
            before = now
            await asyncio.sleep(seconds)
            if not now and not await self.said():
                break
        return before

    @asynccontextmanager
    async def gateway(self, bot: str, delays: float = 0.0, **config: Any) -> AsyncIterator[None]:
        """A bot's gateway inside the block, ended as by SIGTERM."""
        settings = GatewaySettings(
            telegram_api=self.sandbox.url,
            telegram_token=TOKENS[bot],
            bot=bot,
            gateway_data_dir=self.folder,
            forget_dir=self.folder / "forget",
            generation_address=self.generation.address,
            metrics_port=0,
            gateway_delays=delays,
        )
        calm = {"burst_seconds": 0.0, "typing_speed": 0.0, "names": NAMES[bot]}
        stop, registry = asyncio.Event(), CollectorRegistry()
        self.registries[bot] = registry
        async with telegram(settings) as client:
            wanted = GatewayConfig.model_validate({**calm, **config})
            working = asyncio.create_task(
                serve(settings, wanted, stop, Outside(client, registry=registry))
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
