"""Builds the gateway out of its parts; `serve` runs it until it is told to end."""

import asyncio
from contextlib import closing
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry

from contracts.clock import Clock
from contracts.conversation import Conversation
from contracts.forget import read
from contracts.settings import FORGET_FILE, Volumes, from_environment
from services.gateway.ask_generation import Generation
from services.gateway.bot_api import BotApi
from services.gateway.bot_config import GatewayConfig
from services.gateway.chat_queues import ChatQueues
from services.gateway.context import Context, StoppingClock, beside, unless
from services.gateway.explanations import Explanations
from services.gateway.flow import Flow
from services.gateway.health import serve_health
from services.gateway.housekeeping import Housekeeping
from services.gateway.metrics import Labelled, Metrics
from services.gateway.polling import Polling
from services.gateway.sender import Sender
from services.gateway.settings import GatewaySettings
from services.gateway.store import history, inbox, outbox
from services.gateway.store.database import Database
from services.gateway.update_queues import UpdateQueues
from services.generation.client import GenerationClient
from telemetry.logs import logger
from telemetry.volume_usage import watch_volumes


async def serve(
    settings: GatewaySettings,
    config: GatewayConfig,
    rules: Conversation,
    api: BotApi,
    stop: asyncio.Event,
    started: "asyncio.Future[int] | None" = None,
    *,
    clock: Clock | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Serve until `stop` is set, then finish what is in hand; `started` gets the metrics port."""
    gateway: Gateway | None = None
    metrics = Metrics(registry)
    for gauge in (metrics.intact, metrics.writable):
        gauge.set(1)  # a database of which that is not true is not opened
    watch_volumes("gateway", settings.volumes, registry)
    async with serve_health(
        settings.metrics_host,
        settings.metrics_port,
        Labelled(registry, bot=settings.bot),
        lambda: gateway is None or gateway.is_alive(),
        lambda: gateway is not None and gateway.is_ready(),
    ) as port:
        logger().info("started", metrics_port=port)
        # a large one takes its time, in which the process is alive and not ready
        with closing(await asyncio.to_thread(Database, settings.database)) as database:
            metrics.writable.set_function(lambda: database.is_writable)
            unsent = partial(outbox.count, states=("planned", "sending"))
            metrics.outbox.set_function(lambda: database.read(unsent))
            context = Context(
                settings.bot, config, api, database, StoppingClock(clock or Clock()),
                settings.gateway_delays, metrics, forget_file_of(settings), rules,
                Explanations(api, settings.explain_answers),
            )  # fmt: skip
            async with GenerationClient(settings.generation_address, retry=False) as client:
                gateway = Gateway(context, settings, Generation(client, context))
                if started:
                    started.set_result(port)
                await gateway.run(stop)
    logger().info("stopped")


async def _forget_again(context: Context) -> None:
    """Forget the people on the list: a backup may have brought them back."""
    people = await asyncio.to_thread(read, context.forget_file)
    context.forgotten.update((each.user_id, each.at) for each in people)

    def forget_all(db: Connection) -> None:
        for each in people:
            while history.forget(db, each.user_id, before=each.at):
                pass
            outbox.forget(db, each.user_id, each.at)

    await context.write(forget_all)


def forget_file_of(settings: GatewaySettings) -> Path:
    if settings.forget_dir is None:
        return from_environment(Volumes).forget(settings.bot)
    return settings.forget_dir / FORGET_FILE


class Gateway:
    """The order in which the parts start and end."""

    def __init__(self, context: Context, settings: GatewaySettings, generation: Generation) -> None:
        self._context = context
        self._settings = settings
        self._generation = generation
        self._queues: list[ChatQueues[Any]] = []
        self._polling: Polling | None = None

    def is_alive(self) -> bool:
        """Whether a restart would not help."""
        polls = self._polling is None or self._polling.is_alive()
        return polls and not self._context.database.is_hopeless()

    def is_ready(self) -> bool:
        """Whether what people write is taken and kept."""
        polls = self._polling is not None and self._polling.is_ready()
        return polls and self._context.database.is_writable

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; raises what ends the work before that, a refused token above all."""
        try:
            await unless(stop, self._work())
            self._context.clock.stop()
            await self._finish(self._settings.drain_seconds)
        finally:
            self._context.clock.stop()
            await self._finish(0.0)

    async def _work(self) -> None:
        """Forget again, learn who we are, then poll, handle and send side by side."""
        context = self._context
        await _forget_again(context)
        self._polling = polling = Polling(context)
        context.database.on_fault = polling.sign_of_life  # all wait for it, before polls too
        me = await polling.introduce()
        sender = Sender(context, me.id)
        flow = Flow(context, me, self._generation, sender, polling)
        updates = UpdateQueues(flow.handle_update, me, context.clock)
        self._queues = [updates.arrivals, updates.talk, sender.queues]
        updates.put(await context.write(inbox.waiting))
        await sender.start()
        logger().info("ready", bot=context.bot)
        housekeeping = Housekeeping(context, self._settings.database, self._generation.served)
        async with beside(housekeeping.run(), polling.set_up()):
            await polling.run(updates.put)

    async def _finish(self, seconds: float) -> None:
        """End what is in hand, then send what is due, within the time."""
        ends = asyncio.get_running_loop().time() + seconds
        for queues in self._queues:
            await queues.close(max(0.0, ends - asyncio.get_running_loop().time()))
