"""`python -m services.gateway`: the process of one bot's gateway."""

import asyncio
import signal
import sys

from contracts.bot_file import bot_path, read_bot
from contracts.refusal import Refusal, end_process
from contracts.settings import answer_help, from_environment
from services.gateway.config import GatewayConfig
from services.gateway.errors import kind
from services.gateway.server import Outside, serve, telegram
from services.gateway.settings import GatewaySettings
from telemetry.logs import LogSettings, configure, logger


async def main(settings: GatewaySettings) -> None:
    file = read_bot(bot_path(settings.bots_dir, settings.bot), settings.bot)
    config = file.section("gateway", GatewayConfig)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with telegram(settings) as bot:
        await serve(settings, config, stop, Outside(bot))


def run() -> None:
    """A refusal is one line and exit code 2; a traceback is not shown: it may hold the token."""
    answer_help(
        "services.gateway",
        "Speak Telegram for one bot, until SIGTERM or Ctrl-C.",
        *(GatewaySettings, LogSettings),
    )
    try:
        configure(from_environment(LogSettings), "gateway")
        asyncio.run(main(from_environment(GatewaySettings)))
    except Refusal as refusal:
        end_process(refusal)
    except Exception as error:
        logger().error("gateway failed", error=kind(error))
        sys.exit(1)


if __name__ == "__main__":
    run()
