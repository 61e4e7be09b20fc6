"""Asks Telegram who administrates a chat, for somebody who waits for the answer."""

from functools import partial

from aiogram.exceptions import AiogramError, TelegramRetryAfter

from contracts.retry import retry
from services.gateway.bot_api import REFUSED
from services.gateway.context import Context
from services.gateway.incoming import Identity
from telemetry.logs import logger

ATTEMPT_SECONDS = 2
"""For one of two attempts, with half a second between them: nobody waits for five seconds."""
_ADMINISTRATORS, _OTHERS = ("creator", "administrator"), ("member", "restricted", "left", "kicked")


async def is_administrator(context: Context, chat: int, user: int) -> bool | None:
    """Return None where it cannot be known: Telegram refuses, fails or tells of a new status.

    Of its answer `status` alone is read.
    """
    who = {"chat_id": chat, "user_id": user}
    ask = partial(context.api.call, "getChatMember", ATTEMPT_SECONDS, **who)
    try:
        member = await retry(ask, context.clock, _once_more)
    except AiogramError as error:
        logger().warning("not known who administrates", error=error)
        return None
    status = member.get("status") if isinstance(member, dict) else None
    return True if status in _ADMINISTRATORS else False if status in _OTHERS else None


def _once_more(error: Exception, attempt: int) -> float | None:
    is_lasting = isinstance(error, (*REFUSED, TelegramRetryAfter))
    return None if attempt or is_lasting else 0.5


async def reads_all(context: Context, me: Identity, chat: int) -> bool:
    """Whether the bot is known to get all that is written in a group."""
    return me.reads_all or bool(await is_administrator(context, chat, me.id))
