"""Asks Telegram who administrates a chat, for somebody who waits for the answer."""

from aiogram.exceptions import AiogramError, TelegramRetryAfter

from contracts.retry import retry
from services.gateway.bot_api import REFUSED
from services.gateway.context import Context
from services.gateway.incoming import Identity
from telemetry.logs import logger

ATTEMPT_SECONDS = 2
"""For one of two attempts, with half a second between them: nobody waits for five seconds."""
_ADMINISTRATES = {
    **dict.fromkeys(("creator", "administrator"), True),
    **dict.fromkeys(("member", "restricted", "left", "kicked"), False),
}


async def is_administrator(context: Context, chat: int, user: int) -> bool | None:
    """Return None where it cannot be known: Telegram refuses, fails or tells of a new status.

    Of its answer `status` alone is read.
    """

    async def ask() -> object:
        who = {"chat_id": chat, "user_id": user}
        return await context.api.call("getChatMember", ATTEMPT_SECONDS, **who)

    try:
        member = await retry(ask, context.clock, _once_more)
    except AiogramError as error:
        logger().warning("not known who administrates", error=error)
        return None
    return _ADMINISTRATES.get(str(member.get("status"))) if isinstance(member, dict) else None


def _once_more(error: Exception, attempt: int) -> float | None:
    is_lasting = isinstance(error, (*REFUSED, TelegramRetryAfter))
    return None if attempt or is_lasting else 0.5


async def reads_all(context: Context, me: Identity, chat: int) -> bool:
    """Whether the bot is known to get all that is written in a group."""
    return me.reads_all or bool(await is_administrator(context, chat, me.id))
