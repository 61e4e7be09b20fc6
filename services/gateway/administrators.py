"""Asks Telegram who administrates a chat, for somebody who waits for the answer."""

from contextlib import suppress

from aiogram.exceptions import AiogramError

from services.gateway.context import Context
from services.gateway.incoming import Identity
from telemetry.logs import logger

UNSURE_SECONDS = 30.0
"""Time for which a chat without an answer is not asked about again: the others wait meanwhile."""
_ADMINISTRATORS, _OTHERS = ("creator", "administrator"), ("member", "restricted", "left", "kicked")


async def is_administrator(context: Context, chat: int, user: int) -> bool | None:
    """Return None where it cannot be known: Telegram refuses, fails or tells of a new status.

    Of its answer `status` alone is read.
    """
    if context.clock.monotonic() < context.unsure.get(chat, 0.0):
        return None
    try:
        member = await context.try_call("getChatMember", chat_id=chat, user_id=user)
    except AiogramError as error:
        logger().warning("not known who administrates", error=error)
        context.unsure[chat] = context.clock.monotonic() + UNSURE_SECONDS
        return None
    context.unsure.pop(chat, None)
    status = member.get("status") if isinstance(member, dict) else None
    return True if status in _ADMINISTRATORS else False if status in _OTHERS else None


async def reads_all(context: Context, me: Identity, chat: int) -> bool:
    """Whether the bot is known to get all that is written in a group.

    Privacy mode may have been switched off since the start.
    """
    if me.reads_all or await is_administrator(context, chat, me.id):
        return True
    with suppress(AiogramError):
        now = await context.try_call("getMe")
        return isinstance(now, dict) and now.get("can_read_all_group_messages") is True
    return False
