"""What a pressed button of /settings does. Whoever presses whichever, it stops waiting."""

from typing import Any

from services.gateway.administrators import is_administrator, reads_all
from services.gateway.answer import Answer, silence_by
from services.gateway.context import Context
from services.gateway.incoming import ButtonPress, Identity
from services.gateway.settings_keyboard import chosen_settings, keyboard
from services.gateway.store import chats

PRESS_CHARACTERS = 200
"""That Telegram takes in an answer to a pressed button."""


async def answer_button(press: ButtonPress, context: Context, me: Identity) -> Answer:
    """Set what the button says, if its presser may, and draw the keyboard anew."""
    config, now = context.config, context.clock.now()
    if not config.serves(press.sender, press.chat):
        return Answer(calls=(_let_go(press),))
    async with context.database.transaction() as db:
        settings = chats.settings(db, press.chat, press.topic) or config.new_chat
    wanted = chosen_settings(settings, press.data, now)
    if wanted is None or not (press.message.at and press.sender):
        return Answer(calls=(_let_go(press, config.texts.reopen),))
    if press.sender not in config.owner_ids:
        may = await is_administrator(context, press.chat, press.sender)
        if not may:
            text = config.texts.unsure if may is None else config.texts.refused
            return Answer(calls=(_let_go(press, text),))
    hears_all = not (wanted.insane or wanted.chattiness) or await reads_all(context, me, press.chat)
    text = "" if hears_all else config.texts.privacy_mode
    markup = keyboard(wanted, now, config.time_zone)
    shown = {"chat_id": press.chat, "message_id": press.message.message_id, "reply_markup": markup}
    return Answer(
        writes=(lambda db: chats.set_settings(db, press.chat, press.topic, wanted),),
        silence=silence_by(wanted, press.chat, press.topic, now, config.time_zone),
        calls=(("editMessageReplyMarkup", shown), _let_go(press, text)),
    )


def _let_go(press: ButtonPress, text: str = "") -> tuple[str, dict[str, Any]]:
    """Let the button stop waiting, with a text for its presser alone or without."""
    answer = {"callback_query_id": press.id, "text": text[:PRESS_CHARACTERS] or None}
    return "answerCallbackQuery", answer
