"""`python -m services.sandbox.demo`: the whole system on one machine, with a page to talk on.

Starts generation, the sandbox and a gateway for each bot as processes, waits until every bot has
answered a first message, prints the page's address, and ends them all at SIGTERM or Ctrl-C. With
TELEGRAM=1 the gateways speak to real Telegram instead, with the tokens in the environment. The demo
prints its own steps as plain lines; the processes' logs go to a file.
"""

import asyncio
import os
import signal
import socket
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
from pydantic import Field

from contracts.bot_file import bot_names
from contracts.model_version import BotModels
from contracts.refusal import Refusal, end_process
from contracts.settings import Settings, environment_help, from_environment
from services.sandbox.demo_processes import Demo, token_variable
from services.sandbox.settings import sandbox_token
from telemetry.command_line import CommandLine

GRPC_PORT = 50051
HELLO = "Привет"
app = CommandLine()


class DemoSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    telegram   1 connects to real Telegram the bots whose token is set, e.g. AVTOBUS_TOKEN
    demo_log   log file of the processes, as JSON; emptied at each start
    """

    telegram: bool = False
    bots_dir: Path = Path("k8s/bots")
    models_dir: Path = Path("var/models")
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    demo_log: Path = Path("var/demo.log")


async def run(demo: Demo, settings: DemoSettings, memory: Path) -> None:
    """Start everything and stay until a process ends; `memory` is an empty folder."""
    bots = _choose_bots(demo, settings)
    demo.show(f"starting {', '.join(bots)}; logs go to {settings.demo_log}")
    generation = await _start_generation(demo)
    given = {bot: os.environ.get(token_variable(bot), "") for bot in bots}
    tokens = given if settings.telegram else {bot: sandbox_token(bot) for bot in bots}
    page = "" if settings.telegram else await _start_sandbox(demo, settings, tokens)
    # the sandbox begins anew each time, and so must what the gateways remember of it; who asks to
    # be forgotten there is nobody of the chats that are learned
    folders = dict.fromkeys(("GATEWAY_DATA_DIR", "DATA_DIR"), str(memory))
    where = {"TELEGRAM_API": page, "EXPLAIN_ANSWERS": "1", **folders} if page else {}
    where["GENERATION_ADDRESS"] = generation
    health = {bot: await _start_gateway(demo, bot, tokens[bot], where) for bot in bots}
    if page:  # the gateways, which take as long to start, wait for it
        await demo.wait_until("the page is up", partial(_answers, page))
    # a bot is ready once it has reached Telegram: the real one may take its time
    probe = "healthz" if settings.telegram else "readyz"
    for bot, port in health.items():
        await demo.wait_until(
            f"{bot} listens", partial(_answers, f"http://127.0.0.1:{port}/{probe}")
        )
    if page:
        await _greet(demo, page, bots)
        demo.show("open this page to talk with them; Ctrl-C ends it:")
        print(page, flush=True)
    else:
        demo.show("the bots are on Telegram")
    await demo.watch()


def _choose_bots(demo: Demo, settings: DemoSettings) -> list[str]:
    """Return the bots that have a model and, on real Telegram, a token."""
    bots = bot_names(settings.bots_dir)
    if settings.telegram:
        names = ", ".join(token_variable(bot) for bot in bots)
        bots = [bot for bot in bots if os.environ.get(token_variable(bot))]
        if not bots:
            raise Refusal(f"TELEGRAM=1 wants a token from BotFather in at least one of {names}")
    ready = [bot for bot in bots if BotModels(settings.models_dir / bot).current_id()]
    for bot in bots:
        if bot not in ready:
            demo.show(f"{bot} is left out: no model of it is published")
    if not ready:
        raise Refusal(f"{settings.models_dir}: no bot has a model")
    return ready


async def _start_generation(demo: Demo) -> str:
    """Return the service's address."""
    port, metrics = free_port(GRPC_PORT), free_port(9464)
    ports = {"GRPC_PORT": str(port), "METRICS_PORT": str(metrics)}
    await demo.start("generation", "services.generation", DRAIN_SECONDS="5", **ports)
    if port != GRPC_PORT:
        demo.show(f"port {GRPC_PORT} is taken: ask by GENERATION_ADDRESS=127.0.0.1:{port} make ask")
    return f"127.0.0.1:{port}"


async def _start_sandbox(demo: Demo, settings: DemoSettings, tokens: dict[str, str]) -> str:
    """Start it with the chosen bots, and return the page's address."""
    port = free_port(settings.sandbox_port)
    if port != settings.sandbox_port:
        demo.show(f"port {settings.sandbox_port} is taken: make load PAGE=http://127.0.0.1:{port}")
    pairs = ",".join(f"{bot}={token}" for bot, token in tokens.items())
    own = {"SANDBOX_PORT": str(port), "SANDBOX_TOKENS": pairs}
    await demo.start("sandbox", "services.sandbox", **own)
    return f"http://127.0.0.1:{port}"


async def _start_gateway(demo: Demo, bot: str, token: str, where: dict[str, str]) -> int:
    """Start a bot's gateway, and return the port of its health."""
    port = free_port(0)
    own = {"BOT": bot, "TELEGRAM_TOKEN": token, "METRICS_PORT": str(port), "DRAIN_SECONDS": "5"}
    await demo.start(f"gateway of {bot}", "services.gateway", **own, **where)
    return port


def free_port(wanted: int) -> int:
    """Return the wanted port of loopback, or another where that one is taken."""
    for port in (wanted, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise Refusal("no free port on 127.0.0.1")


async def _answers(url: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.request("GET", url, timeout=aiohttp.ClientTimeout(2)) as answer:
            return answer.ok
    return False


async def _greet(demo: Demo, page: str, bots: list[str]) -> None:
    """Greet every bot and wait for its answer."""
    for bot in bots:
        body = {"chat": bot, "person": "Аня", "text": HELLO}
        async with aiohttp.request("POST", f"{page}/api/messages", json=body) as answer:
            answer.raise_for_status()
    for bot in bots:
        await demo.wait_until(f"{bot} has answered", partial(_has_answered, page, bot))


async def _has_answered(page: str, bot: str) -> bool:
    async with aiohttp.request("GET", f"{page}/api/state") as answer:
        messages = (await answer.json())["messages"]
    return any(message["name"] == bot.capitalize() for message in messages)


async def run_until_stopped(settings: DemoSettings, memory: Path) -> None:
    demo = Demo(bot_names(settings.bots_dir), settings.demo_log)
    loop = asyncio.get_running_loop()
    running = loop.create_task(run(demo, settings, memory))
    # also where they were inherited as ignored; a second signal changes nothing
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        demo.show("ending")
    finally:
        await demo.stop()


@app.command(epilog=environment_help(DemoSettings))
def main() -> None:
    """Serve all published bots on a page that stands in for Telegram, until Ctrl-C.

    Or on Telegram itself: with TELEGRAM=1, and a token for each bot, e.g. AVTOBUS_TOKEN.
    """
    try:
        with tempfile.TemporaryDirectory() as memory:
            asyncio.run(run_until_stopped(from_environment(DemoSettings), Path(memory)))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app(prog_name="python -m services.sandbox.demo")
