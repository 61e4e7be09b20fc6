"""`python -m services.sandbox.demo`: the whole system on one machine, with a page to talk on.

Starts generation, the sandbox and a gateway a bot as processes, waits until every bot has answered
a first message, prints the page's address, and ends them all when it is told to end. With
TELEGRAM=1 the gateways speak to real Telegram instead, with the tokens in the environment. What the
demo itself does is told in plain lines; the processes' logs go to a file.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from pydantic import Field

from contracts.bot_file import bot_names
from contracts.model_version import BotModels
from contracts.refusal import Refusal, end_process
from contracts.settings import Settings, answer_help, from_environment
from services.sandbox.demo_processes import Demo, token_of

GRPC_PORT = 50051
HELLO = "Привет"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine itself, whatever proxy is set for others."""


class DemoSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    telegram   1 speaks to real Telegram, with the bots whose token is set, e.g. AVTOBUS_TOKEN
    demo_log   the processes' logs, of this start alone
    """

    telegram: bool = False
    bots_dir: Path = Path("k8s/bots")
    models_dir: Path = Path("var/models")
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    demo_log: Path = Path("var/demo.log")


def free_port(wanted: int) -> int:
    """The wanted port of loopback, or another where that one is taken."""
    for port in (wanted, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    raise Refusal("no free port on 127.0.0.1")


def sandbox_token(number: int) -> str:
    """A token as Telegram writes them; it opens nothing but the sandbox."""
    return f"{100001 + number}:" + "A" * 35


def _get(url: str) -> Any:
    with _DIRECT.open(url, timeout=5) as answer:
        return json.load(answer)


def _post(url: str, body: dict[str, str]) -> None:
    data = json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310
    _DIRECT.open(asked, timeout=5).close()


def _answers(url: str) -> bool:
    try:
        _DIRECT.open(url, timeout=2).close()
    except OSError:
        return False
    return True


async def run(demo: Demo, settings: DemoSettings, memory: str) -> None:
    """Start everything and stay until a process ends; `memory` is an empty folder."""
    bots = _bots(demo, settings)
    demo.stage(f"starting {', '.join(bots)}; logs go to {settings.demo_log}")
    generation, metrics = free_port(GRPC_PORT), free_port(9464)
    await demo.start(
        "generation",
        "services.generation",
        GRPC_PORT=str(generation),
        METRICS_PORT=str(metrics),
        DRAIN_SECONDS="5",
    )
    if generation != GRPC_PORT:
        demo.stage(f"port {GRPC_PORT} is taken: GENERATION_ADDRESS=127.0.0.1:{generation} make ask")
    page = "" if settings.telegram else await _sandbox(demo, bots, settings.sandbox_port)
    health = {bot: free_port(0) for bot in bots}
    for number, bot in enumerate(bots):
        token = os.environ[token_of(bot)] if settings.telegram else sandbox_token(number)
        # the sandbox begins anew each time, and so must what the gateways remember of it
        where = {} if settings.telegram else {"TELEGRAM_API": page, "GATEWAY_DATA_DIR": memory}
        await demo.start(
            f"gateway of {bot}",
            "services.gateway",
            BOT=bot,
            TELEGRAM_TOKEN=token,
            GENERATION_ADDRESS=f"127.0.0.1:{generation}",
            METRICS_PORT=str(health[bot]),
            DRAIN_SECONDS="5",
            **where,
        )
    if page:  # the gateways, which take as long to start, wait for it
        await demo.until("the page is up", lambda: _answers(page))
    # ready is who has reached Telegram: the real one may take its time
    probe = "healthz" if settings.telegram else "readyz"
    for bot in bots:
        url = f"http://127.0.0.1:{health[bot]}/{probe}"
        await demo.until(f"{bot} listens", lambda url=url: _answers(url))  # type: ignore[misc]
    if settings.telegram:
        demo.stage("the bots are on Telegram")
    else:
        await _first_words(demo, page, bots)
        demo.stage("open this page to talk with them; Ctrl-C ends it:")
        print(page, flush=True)
    await demo.watch()


async def _sandbox(demo: Demo, bots: list[str], wanted: int) -> str:
    """Start it; returns the page's address."""
    port = free_port(wanted)
    if port != wanted:
        demo.stage(f"port {wanted} is taken: make load PAGE=http://127.0.0.1:{port}")
    listed = ",".join(f"{bot}={sandbox_token(number)}" for number, bot in enumerate(bots))
    await demo.start("sandbox", "services.sandbox", SANDBOX_PORT=str(port), SANDBOX_BOTS=listed)
    return f"http://127.0.0.1:{port}"


def _bots(demo: Demo, settings: DemoSettings) -> list[str]:
    """The bots that have a model and, on real Telegram, a token."""
    bots = bot_names(settings.bots_dir)
    if settings.telegram:
        names = ", ".join(token_of(bot) for bot in bots)
        bots = [bot for bot in bots if os.environ.get(token_of(bot))]
        if not bots:
            raise Refusal(f"TELEGRAM=1 wants a token from BotFather in at least one of {names}")
    ready = [bot for bot in bots if BotModels(settings.models_dir / bot).current_id()]
    for bot in bots:
        if bot not in ready:
            demo.stage(f"{bot} is left out: no model of it is published")
    if not ready:
        raise Refusal(f"{settings.models_dir}: no bot has a model")
    return ready


async def _first_words(demo: Demo, page: str, bots: list[str]) -> None:
    """Greet every bot and wait for its answer."""
    for bot in bots:
        _post(f"{page}/api/messages", {"chat": bot, "person": "Аня", "text": HELLO})
    for bot in bots:
        await demo.until(
            f"{bot} has answered",
            lambda bot=bot: any(sent["bot"] == bot for sent in _get(f"{page}/admin/log")["sent"]),  # type: ignore[misc]
        )


async def main(memory: str) -> None:
    settings = from_environment(DemoSettings)
    bots = bot_names(settings.bots_dir)
    demo = Demo(lambda text: print(text, file=sys.stderr, flush=True), bots, settings.demo_log)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    # also where they were inherited as ignored; told twice, it still ends only once
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, told.set)
    running = loop.create_task(run(demo, settings, memory))
    ending = loop.create_task(told.wait())
    try:
        await asyncio.wait([running, ending], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        demo.stage("ending")
    finally:
        running.cancel()
        ending.cancel()
        await asyncio.gather(running, ending, return_exceptions=True)
        await demo.stop()


if __name__ == "__main__":
    answer_help(
        "services.sandbox.demo",
        "Serve all published bots on a page that stands in for Telegram, or on Telegram itself\n"
        "(TELEGRAM=1, and a token a bot, e.g. AVTOBUS_TOKEN), until Ctrl-C.",
        DemoSettings,
    )
    try:
        with tempfile.TemporaryDirectory() as memory:
            asyncio.run(main(memory))
    except Refusal as refusal:
        end_process(refusal)
