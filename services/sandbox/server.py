"""Builds the sandbox out of its parts; `serve` runs it until it is told to end."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError

import uvicorn
from aiogram.types import User
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

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


class _Server(uvicorn.Server):
    """Leaves signals to the process and says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()


async def serve(
    settings: SandboxSettings,
    stop: asyncio.Event,
    started: "asyncio.Future[str] | None" = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve until `stop` is set; `started` gets the address, `http://host:port`."""
    # ids go on from the clock: a bot that remembers the sandbox before this one sees no id again
    exchange = Exchange(world(settings, int(clock())), clock, Flood(settings.sandbox_flood))
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]

    def announce() -> None:
        logger().info("serving", address=f"http://{host}:{port}")
        if started:
            started.set_result(f"http://{host}:{port}")

    config = uvicorn.Config(
        application(exchange),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,  # longer than clients keep theirs: none writes into a closed one
    )
    server = _Server(config, announce)
    stopping = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        exchange.close()
        server.should_exit = True
        await serving
        logger().info("stopped")


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


def application(exchange: Exchange) -> Starlette:
    parts = (BotRoutes, AdminRoutes, PeopleRoutes, PageRoutes)
    return Starlette(
        routes=[route for part in parts for route in part(exchange).routes()],
        exception_handlers={Refused: _refused, Refusal: _unusable, JSONDecodeError: _unusable},
    )


async def _refused(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, Refused) else Refused(400, str(error))
    return JSONResponse({"error": known.description}, known.code)


async def _unusable(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _listen(settings: SandboxSettings) -> socket.socket:
    address = (settings.sandbox_host, settings.sandbox_port)
    try:
        return socket.create_server(address)
    except OSError as error:
        where = f"{address[0]}:{address[1]}"
        raise Refusal(f"SANDBOX_PORT: cannot listen on {where} ({error.strerror})") from None
