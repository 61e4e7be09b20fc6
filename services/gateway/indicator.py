"""The typing indicator: shown while the block runs, and never in its way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiogram import Bot

from services.gateway.errors import kind
from services.gateway.pace import Clock
from telemetry.logs import logger

EVERY = 4.5
"""Seconds: Telegram shows an action for five."""


@asynccontextmanager
async def typing(bot: Bot, chat: int, topic: int, clock: Clock) -> AsyncIterator[None]:
    task = asyncio.create_task(_show(bot, chat, topic, clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show(bot: Bot, chat: int, topic: int, clock: Clock) -> None:
    """Ends at the first refusal: a chat that does not want it will not want it more later."""
    try:
        while True:
            await bot.send_chat_action(chat, "typing", message_thread_id=topic or None)
            await clock.sleep(EVERY)
    except Exception as error:
        logger().info("typing not shown", error=kind(error))
