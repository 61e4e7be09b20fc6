"""`python -m services.gateway`: the process of one bot's gateway."""

import asyncio
import signal
import sys

import typer

from contracts.bot_file import bot_path, read_bot
from contracts.refusal import Refusal, end_process
from contracts.settings import environment_help, from_environment
from services.gateway.bot_api import open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.lifecycle import Outside, serve
from services.gateway.settings import GatewaySettings
from telemetry.logs import LogSettings, configure, logger

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


async def run(settings: GatewaySettings) -> None:
    file = read_bot(bot_path(settings.bots_dir, settings.bot), settings.bot)
    config = file.section("gateway", GatewayConfig)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_bot_api(settings) as api:
        await serve(settings, config, stop, Outside(api))


@app.command(epilog=environment_help(GatewaySettings, LogSettings))
def main() -> None:
    """Connect one bot to Telegram, until SIGTERM or Ctrl-C."""
    try:
        configure(from_environment(LogSettings), "gateway")
        asyncio.run(run(from_environment(GatewaySettings)))
    except Refusal as refusal:
        end_process(refusal)
    except Exception as error:  # its traceback may hold the token
        logger().error("gateway failed", error=error)
        sys.exit(1)


if __name__ == "__main__":
    app(prog_name="python -m services.gateway")
