"""Builds the sandbox out of its parts; `serve` runs it until it is told to end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from json import JSONDecodeError

from aiogram.types import User
from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.refusal import Refusal
from services.sandbox.admin import AdminRoutes
from services.sandbox.bot_routes import BotRoutes
from services.sandbox.errors import Refused
from services.sandbox.exchange import Exchange
from services.sandbox.flood import Flood
from services.sandbox.page import PageRoutes
from services.sandbox.people import PeopleRoutes
from services.sandbox.rooms import BotAccount
from services.sandbox.settings import BotEntry, SandboxSettings
from services.sandbox.world import World
from telemetry.logs import logger


async def serve(
    settings: SandboxSettings,
    stop: asyncio.Event,
    started: "asyncio.Future[str] | None" = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve until `stop` is set; `started` gets the address, `http://host:port`."""
    # ids go on from the clock: a bot that remembers the sandbox before this one sees no id again
    exchange = Exchange(world(settings, int(clock())), clock, Flood(settings.sandbox_flood))
    where = settings.sandbox_host, settings.sandbox_port
    async with listening(application(exchange), *where) as url:
        logger().info("serving", address=url)
        if started:
            started.set_result(url)
        await stop.wait()
        exchange.close()
    logger().info("stopped")


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve the application inside the block; gives its address, `http://host:port`."""
    # a client that goes ends what it waited for: a long poll, a stream of events
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await _bind(runner, host, port)
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def _bind(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)})"
        raise Refusal(f"SANDBOX_PORT: {why}") from None


def world(settings: SandboxSettings, first_id: int = 0) -> World:
    accounts = [_account(entry, entry.name in settings.private_bots) for entry in settings.bots]
    return World(accounts, settings.people, first_id)


def _account(entry: BotEntry, privacy: bool) -> BotAccount:
    user = User(
        id=int(entry.token.partition(":")[0]),
        is_bot=True,
        first_name=entry.title,
        username=f"{entry.name.replace('-', '_')}_bot",
    )
    return BotAccount(entry.name, entry.token, user, privacy)


def application(exchange: Exchange) -> web.Application:
    app = web.Application(middlewares=[_errors])
    for part in (BotRoutes, AdminRoutes, PeopleRoutes, PageRoutes):
        app.add_routes(part(exchange).routes())
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what a handler refuses, to the page and to tests, as {error}."""
    try:
        return await handler(request)
    except Refused as error:
        return web.json_response({"error": error.description}, status=error.code)
    except (Refusal, JSONDecodeError, UnicodeDecodeError) as error:
        return web.json_response({"error": str(error)}, status=400)
