"""Builds the sandbox out of its parts, and serves it."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import starmap

from aiogram.types import User
from aiohttp import web
from aiohttp.typedefs import Handler

from contracts.refusal import Refusal
from services.sandbox.bot_routes import BotRoutes
from services.sandbox.errors import ApiError
from services.sandbox.guard import MAX_BODY, guard
from services.sandbox.messenger import Messenger
from services.sandbox.page_routes import PageRoutes
from services.sandbox.rooms import BotAccount
from services.sandbox.settings import SandboxSettings
from services.sandbox.world import World
from telemetry.logs import logger

Teaching = Callable[[Messenger], Iterable[web.AbstractRouteDef]]
"""Makes the routes by which bots are taught."""


@asynccontextmanager
async def serving(
    settings: SandboxSettings, teaching: Teaching | None = None
) -> AsyncIterator[str]:
    """Serve the sandbox inside the block, at the address that it gives."""
    # ids count from the clock, so that a bot that remembers an earlier sandbox meets no id again
    world = World(starmap(account, settings.tokens.items()), first_id=int(time.time()))
    messenger = Messenger(world, time.time)
    app = application(messenger, BotRoutes(messenger), settings, teaching)
    async with listening(app, settings.sandbox_host, settings.sandbox_port) as url:
        logger().info("serving", address=url, bots=[bot.name for bot in world.bots.values()])
        try:
            yield url
        finally:
            messenger.close()  # whoever waits for updates waits no longer
    logger().info("stopped")


def account(name: str, token: str) -> BotAccount:
    username = f"{name.replace('-', '_')}_bot"
    number = int(token.partition(":")[0])
    user = User(id=number, is_bot=True, first_name=name.capitalize(), username=username)
    return BotAccount(name, token, user)


def application(
    messenger: Messenger,
    bots: BotRoutes,
    settings: SandboxSettings,
    teaching: Teaching | None = None,
) -> web.Application:
    middlewares = [answer_errors, guard(settings.hosts, settings.password)]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
    app.add_routes(bots.routes())
    app.add_routes(PageRoutes(messenger, has_teaching=teaching is not None).routes())
    app.add_routes(teaching(messenger) if teaching else ())
    return app


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve the application inside the block, at the address that it gives."""
    # a client that leaves cancels what it waited for: a long poll, a stream of events
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=1, lingering_time=1
    )
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


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is refused as Telegram does, the page and tests too."""
    try:
        return await handler(request)
    except ApiError as error:
        refused = error
    except (Refusal, ValueError, RecursionError) as error:  # JSON of any kind, too
        refused = ApiError(400, str(error))
    return web.json_response(refused.payload(), status=refused.code)
