"""`python -m services.sandbox.demo`: the whole system on one machine, with a page to talk on.

Starts generation and a gateway for each bot as processes, serves the page itself, waits until every
bot has answered a first message, prints the page's address, and ends it all at SIGTERM or Ctrl-C.
Bots can be taught on the page, and join it then. With TELEGRAM=1 the gateways speak to real
Telegram instead, with the tokens in the environment. The demo prints its own steps as plain lines;
logs go to a file.
"""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Set
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from pydantic import Field, SecretStr

from contracts.bot_file import bot_names
from contracts.model_version import BotModels
from contracts.refusal import Refusal, end_process
from contracts.settings import Settings, Volumes, from_environment
from services.sandbox.demo_processes import Demo, Gateways, free_port, token_variable
from services.sandbox.settings import SandboxSettings, sandbox_token
from services.sandbox.taught_bots import TaughtBots
from services.sandbox.training_packages import is_possible
from telemetry.command_line import CommandLine
from telemetry.logs import LogSettings, configure

GRPC_PORT = 50051
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HELLO = "Привет"
app = CommandLine()


class DemoSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    telegram   1 connects to real Telegram the bots whose token is set, e.g. AVTOBUS_TOKEN
    demo_log   log file of the processes, as JSON; emptied at each start
    export_mb  most megabytes of an export that is dropped on the page
    """

    telegram: bool = False
    bots_dir: Path = Path("k8s/bots")
    models_dir: Path = Path("var/models")
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    demo_log: Path = Path("var/demo.log")
    export_mb: int = Field(default=4000, ge=1)


async def run(demo: Demo, settings: DemoSettings, memory: Path) -> None:
    """Start everything and stay until a process ends; `memory` is an empty folder."""
    bots = _choose_bots(demo, settings)
    demo.show(f"starting {', '.join(bots)}; logs go to {settings.demo_log}")
    where = {"GENERATION_ADDRESS": await _start_generation(demo)}
    if settings.telegram:
        tokens = {bot: os.environ.get(token_variable(bot), "") for bot in bots}
        # the real one may take its time to be reached
        health = await start_gateways(Gateways(demo, where), tokens)
        await _wait_for(demo, health, "healthz")
        demo.show("the bots are on Telegram")
        return await demo.watch()
    port = _page_port(demo, settings)
    # the sandbox begins anew each time, and so must what the gateways remember of it; who asks to
    # be forgotten there is nobody of the chats that are learned
    where |= dict.fromkeys(("GATEWAY_DATA_DIR", "DATA_DIR"), str(memory))
    where |= {"TELEGRAM_API": f"http://127.0.0.1:{port}", "EXPLAIN_ANSWERS": "1"}
    gateways = Gateways(demo, where)
    tokens = {bot: sandbox_token(bot) for bot in bots}
    taught = TaughtBots(from_environment(Volumes), settings.bots_dir)
    guests = set(taught.names()) & tokens.keys()  # whose files may have been changed on the page
    # takes as long as the page, and waits for it
    health = await start_gateways(gateways, tokens, guests)
    async with await _host(demo, settings, gateways, tokens, taught) as page:
        demo.show("the page is up")
        try:
            await _wait_for(demo, health, "readyz")
            await _greet(demo, page, health)
            demo.show("open this page to talk with them; Ctrl-C ends it:")
            print(page, flush=True)
            return await demo.watch()
        finally:
            await demo.stop()


async def start_gateways(
    gateways: Gateways, tokens: dict[str, str], guests: Set[str] = frozenset()
) -> dict[str, int]:
    """Return the ports of the health of those who are no guests."""
    health = {bot: await gateways.start(bot, tokens[bot], bot in guests) for bot in tokens}
    return {bot: port for bot, port in health.items() if bot not in guests}


async def _wait_for(demo: Demo, health: dict[str, int], probe: str) -> None:
    for bot, port in health.items():
        url = f"http://127.0.0.1:{port}/{probe}"
        await demo.wait_until(f"{bot} listens", partial(_answers, url))


async def _host(
    demo: Demo,
    settings: DemoSettings,
    gateways: Gateways,
    tokens: dict[str, str],
    taught: TaughtBots,
) -> AbstractAsyncContextManager[str]:
    """Return what serves the page in this process: so bots can be taught and join on it."""
    file_logs = LogSettings(log_format="json", log_level=from_environment(LogSettings).log_level)
    configure(file_logs, "sandbox", demo.log)

    def load() -> Callable[..., AbstractAsyncContextManager[str]]:
        import services.deferred_aiogram  # noqa: F401
        from services.sandbox.hosting import hosting  # Telegram's types take long to import

        return hosting

    pairs = SecretStr(",".join(f"{bot}={token}" for bot, token in tokens.items()))
    port = urlsplit(gateways.where["TELEGRAM_API"]).port
    changes = {"sandbox_port": port, "sandbox_tokens": pairs}
    sandbox = from_environment(SandboxSettings).model_copy(update=changes)
    may_teach = is_possible(settings.bots_dir)
    hosting = await asyncio.to_thread(load)
    return hosting(sandbox, gateways, taught if may_teach else None, settings.export_mb * 10**6)


def _page_port(demo: Demo, settings: DemoSettings) -> int:
    port = free_port(settings.sandbox_port)
    if port != settings.sandbox_port:
        demo.show(f"port {settings.sandbox_port} is taken: make load PAGE=http://127.0.0.1:{port}")
    return port


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
            demo.show(f"{bot} is left out: no model of it is published yet")
    if not ready:
        raise Refusal(f"{settings.models_dir}: no bot has a model")
    return ready


async def _start_generation(demo: Demo) -> str:
    """Return the service's address."""
    port, metrics = free_port(GRPC_PORT), free_port(9464)
    ports = {"GRPC_PORT": str(port), "METRICS_PORT": str(metrics)}
    await demo.start("generation", "services.generation", False, DRAIN_SECONDS="5", **ports)
    if port != GRPC_PORT:
        demo.show(f"port {GRPC_PORT} is taken: ask by GENERATION_ADDRESS=127.0.0.1:{port} make ask")
    return f"127.0.0.1:{port}"


async def _answers(url: str) -> bool:
    with suppress(aiohttp.ClientError, TimeoutError):
        async with aiohttp.request("GET", url, timeout=aiohttp.ClientTimeout(2)) as answer:
            return answer.ok
    return False


async def _greet(demo: Demo, page: str, bots: Iterable[str]) -> None:
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
    demo = Demo(settings.demo_log)
    loop = asyncio.get_running_loop()
    running = loop.create_task(run(demo, settings, memory))

    def end() -> None:
        running.cancel()
        for number in SIGNALS:  # a second one changes nothing
            loop.add_signal_handler(number, int)
        with suppress(OSError):  # of a terminal that was closed
            demo.show("ending; a training at work keeps what it has learned first")

    for number in SIGNALS:  # also where they were inherited as ignored
        loop.add_signal_handler(number, end)
    try:
        with suppress(asyncio.CancelledError):
            await running
    finally:
        await demo.stop()


@app.command()
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
