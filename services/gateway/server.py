"""Builds the gateway out of its parts; `serve` runs it until it is told to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import Response
from prometheus_client import REGISTRY, CollectorRegistry

from contracts.forget import read
from contracts.refusal import Refusal
from contracts.settings import FORGET_FILE, Volumes, from_environment
from services.gateway.addressing import Identity
from services.gateway.changes import forgotten_before
from services.gateway.config import GatewayConfig
from services.gateway.database import Database
from services.gateway.errors import Stopping, TokenRefused
from services.gateway.handlers import build_dispatcher
from services.gateway.health import serve_health
from services.gateway.inbox import Inbox
from services.gateway.keeper import Keeper
from services.gateway.metrics import Labelled, Metrics
from services.gateway.names import forms
from services.gateway.office import Office
from services.gateway.outbox import Outboxes
from services.gateway.pace import Clock, Pace, SystemClock
from services.gateway.polling import Polling
from services.gateway.settings import GatewaySettings, token_of
from services.gateway.speech import Speech
from services.gateway.store import Store
from services.gateway.thinking import Thinking
from services.generation.client import GenerationClient
from telemetry.logs import logger
from telemetry.volumes import watch_volumes

CALL_TIMEOUT = 30.0
_ANSWERS = (Response[dict[str, Any]], Response[list[dict[str, Any]]], Response[bool])
"""Kept, or pydantic would build the types of Telegram's answers anew every now and then."""


@dataclass
class Outside:
    """What the gateway does not make itself, so that tests give it theirs."""

    bot: Bot
    clock: Clock = field(default_factory=SystemClock)
    registry: CollectorRegistry = REGISTRY


@asynccontextmanager
async def telegram(settings: GatewaySettings) -> AsyncIterator[Bot]:
    """A client of the Bot API; raises TokenRefused, or Refusal for a proxy that cannot be used."""
    token = token_of(settings)
    proxy = settings.telegram_proxy.get_secret_value() if settings.telegram_proxy else None
    try:
        session = AiohttpSession(
            proxy=proxy,
            api=TelegramAPIServer.from_base(settings.telegram_api),
            timeout=CALL_TIMEOUT,
        )
    except (RuntimeError, ValueError):
        raise Refusal("TELEGRAM_PROXY: not usable; give socks5:// or http://, and install "
                      "aiohttp-socks") from None  # fmt: skip
    async with Bot(token, session) as bot:
        yield bot


async def serve(
    settings: GatewaySettings,
    config: GatewayConfig,
    stop: asyncio.Event,
    outside: Outside,
    started: "asyncio.Future[int] | None" = None,
) -> None:
    """Serve until `stop` is set, then finish what is in hand; `started` gets the metrics port."""
    database = Database.open(settings.database)
    store = Store(database.connection)
    try:
        people = read(forget_file(settings))
        await store.commit(forgotten_before((each.user_id, each.at) for each in people))
        async with GenerationClient(settings.generation_address, retry=False) as client:
            gateway = Gateway(settings, config, store, client, outside)
            async with serve_health(
                settings.metrics_host,
                settings.metrics_port,
                Labelled(outside.registry, bot=settings.bot),
                gateway.polling.alive,
                lambda: gateway.ready,
            ) as port:
                logger().info("started", metrics_port=port)
                if started:
                    started.set_result(port)
                await gateway.run(stop)
    finally:
        database.close()
        logger().info("stopped")


def forget_file(settings: GatewaySettings) -> Path:
    """The list of people who asked to be forgotten."""
    if settings.forget_dir is None:
        return from_environment(Volumes).forget(settings.bot)
    return settings.forget_dir / FORGET_FILE


class Gateway:
    """The parts, and the order in which they start and end."""

    def __init__(
        self, settings: GatewaySettings, config: GatewayConfig, store: Store,
        client: GenerationClient, outside: Outside,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._config = config
        self._store = store
        self._bot = outside.bot
        self._pace = Pace(outside.clock, scale=settings.gateway_delays)
        self._metrics = Metrics(outside.registry)
        self._metrics.intact.set(1)  # or it would not have been opened
        watch_volumes("gateway", settings.volumes, outside.registry)
        self._thinking = Thinking(client, settings.bot, self._pace, self._metrics)
        self._outbox = Outboxes(self._bot, store, config, self._pace, self._metrics)
        self._inbox: Inbox | None = None
        self._polled: asyncio.Task[None] | None = None
        self.polling = Polling(self._bot, store, self._pace, self._metrics, self._arrived)
        self.ready = False

    def _arrived(self) -> None:
        if self._inbox is not None:
            self._inbox.wake()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; raises what ends the work before that, a refused token above all."""
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
            self._pace.stopping.set()
            if self._polled is not None:
                self._polled.cancel()
            await self._finish(self._settings.drain_seconds)
        finally:
            self.ready = False
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)
            await self._finish(0.0)

    async def _work(self) -> None:
        """Learn who we are, then poll, handle and send side by side."""
        try:
            me = await self.polling.introduce()
        except Stopping:
            return
        if (known := await self._store.turns.persona()) not in (None, me.id):
            raise TokenRefused(
                f"TELEGRAM_TOKEN: is of @{me.username} (id {me.id}), and the database of the bot"
                f" with id {known}: give that one's token, or begin with an empty GATEWAY_DATA_DIR"
            )
        self._metrics.reads_all.set(int(bool(me.can_read_all_group_messages)))
        self._inbox = self._build_inbox(
            Identity(me.id, me.username or "", forms(self._config.names))
        )
        logger().info("ready", bot=self._settings.bot)
        self.ready = True
        self._polled = asyncio.create_task(self.polling.run())
        keeper = Keeper(
            self._store, self._settings.database, self._pace, self._metrics,
            self._config.retention_days,
        )  # fmt: skip
        parts = [self._outbox.run(), self._inbox.run(), keeper.run()]
        tasks = [self._polled, *map(asyncio.create_task, parts)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _build_inbox(self, me: Identity) -> Inbox:
        name, config, store, pace = self._settings.bot, self._config, self._store, self._pace
        dispatcher = build_dispatcher(
            me=me,
            config=config,
            store=store,
            pace=pace,
            metrics=self._metrics,
            speech=Speech(name, self._bot, config, store, self._thinking, pace),
            office=Office(
                name, forget_file(self._settings), store, self._thinking, pace,
                lambda: self.polling.last_ok,
            ),
        )  # fmt: skip
        return Inbox(self._bot, dispatcher, store, pace, self._metrics, self._outbox.wake)

    async def _finish(self, seconds: float) -> None:
        """End what is in hand and send what is due, within the time."""
        ends = asyncio.get_running_loop().time() + seconds
        if self._inbox is not None:
            await self._inbox.lanes.close(seconds)
        left = max(0.0, ends - asyncio.get_running_loop().time())
        if left:
            await self._outbox.feed()
        await self._outbox.lanes.close(left)
