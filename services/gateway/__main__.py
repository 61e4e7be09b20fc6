"""`python -m services.gateway`: the process of one bot's gateway."""

import asyncio
import sys

import services.deferred_aiogram  # isort: skip  # noqa: F401  (before whatever imports aiogram)

from contracts.bot_file import bot_path, read_bot
from contracts.conversation import Conversation
from contracts.refusal import Refusal
from services.gateway.bot_api import open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.lifecycle import serve
from services.gateway.settings import GatewaySettings
from telemetry.logs import logger
from telemetry.service import service_app


async def run(settings: GatewaySettings, stop: asyncio.Event) -> None:
    file = read_bot(bot_path(settings.bots_dir, settings.bot), settings.bot)
    config = file.section("gateway", GatewayConfig)
    rules = file.section("conversation", Conversation)
    try:
        async with open_bot_api(settings) as api:
            await serve(settings, config, rules, api, stop)
    except Refusal:
        raise
    except Exception as error:  # its traceback may hold the token
        logger().error("gateway failed", error=error)
        sys.exit(1)


ABOUT = "Connect one bot to Telegram, until SIGTERM or Ctrl-C."
app = service_app("gateway", ABOUT, GatewaySettings, run)

if __name__ == "__main__":
    app(prog_name="python -m services.gateway")
