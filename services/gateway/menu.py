"""`/settings`: the chat's settings as a keyboard for administrators.

Each button carries what it sets, not what it turns over, so that one pressed twice, or handled
twice, has done it once. The keyboard is drawn anew after each.
"""

from contextlib import suppress

from aiogram import Bot, F
from aiogram.dispatcher.event.telegram import TelegramEventObserver
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import MagicData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from services.gateway import changes
from services.gateway.addressing import topic_of
from services.gateway.answer import Answer
from services.gateway.commands import ADMINISTRATORS, May, told
from services.gateway.config import GatewayConfig
from services.gateway.decision import ChatSettings
from services.gateway.pace import Pace
from services.gateway.store import Store

NIGHT = (23 * 60, 8 * 60)
_STEPS = (0, 5, 15, 30, 100)
_HOUR = 3600.0


def add_menu(messages: TelegramEventObserver, buttons: TelegramEventObserver) -> None:
    messages.register(settings, MagicData(F.decision.command == "settings"), May())
    buttons.register(pressed)


def keyboard(found: ChatSettings, now: float) -> InlineKeyboardMarkup:
    """The settings as they are, each button saying what it makes of them."""
    muted = now < found.muted_until
    rows = [
        [_button("Безумие", "insane", not found.insane, found.insane)],
        [_step(percent, percent == found.chattiness) for percent in _STEPS],
        [_button("Тихо с 23 до 8", "quiet", not found.quiet, bool(found.quiet))],
        [_button("Помолчать час", "mute", not muted, muted)],
    ]
    return InlineKeyboardMarkup(inline_keyboard=rows)


def _button(text: str, name: str, value: bool, on: bool) -> InlineKeyboardButton:
    data = f"{name}:{int(value)}"
    return InlineKeyboardButton(text=f"{'✅' if on else '◻️'} {text}", callback_data=data)


def _step(percent: int, on: bool) -> InlineKeyboardButton:
    text = f"{'✅ ' if on else ''}{percent} %"
    return InlineKeyboardButton(text=text, callback_data=f"chattiness:{percent}")


def chosen(found: ChatSettings, data: str, now: float) -> ChatSettings | None:
    """The settings that a button makes; None for one that is not ours."""
    name, _, value = data.partition(":")
    if not (value.isascii() and value.isdigit()):
        return None
    number = int(value)
    values = {
        "insane": ("insane", bool(number)),
        "quiet": ("quiet", NIGHT if number else None),
        "mute": ("muted_until", now + _HOUR if number else 0.0),
        "chattiness": ("chattiness", min(number, 100)),
    }
    return found.model_copy(update=dict([values[name]])) if name in values else None


async def settings(message: Message, config: GatewayConfig, store: Store, pace: Pace) -> Answer:
    if message.chat.type == "private":
        return told(message, config.insanity_private)
    found = await store.turns.settings(message.chat.id, topic_of(message))
    markup = keyboard(found, pace.now()).model_dump_json(exclude_none=True)
    return told(message, config.settings, markup=markup)


async def pressed(
    query: CallbackQuery, bot: Bot, config: GatewayConfig, store: Store, pace: Pace
) -> Answer:
    """Set what the button says, if its presser may, and draw the keyboard anew."""
    message = query.message
    if not isinstance(message, Message):
        return Answer()  # too old: Telegram tells nothing of it any more
    if not config.serves(query.from_user.id, message.chat.id):
        return Answer()
    member = await bot.get_chat_member(message.chat.id, query.from_user.id)
    if member.status not in ADMINISTRATORS and query.from_user.id not in config.owner_ids:
        await _answer(bot, query, config.refused)
        return Answer()
    topic = topic_of(message)
    found = await store.turns.settings(message.chat.id, topic)
    wanted = chosen(found, query.data or "", pace.now())
    if wanted is None:
        await _answer(bot, query)
        return Answer()
    await store.commit(changes.settings(message.chat.id, topic, wanted))
    await _redraw(bot, message, keyboard(wanted, pace.now()))
    await _answer(bot, query)
    return Answer()


async def _redraw(bot: Bot, message: Message, markup: InlineKeyboardMarkup) -> None:
    with suppress(TelegramAPIError):  # it looks so already, or is gone: what was set is set
        await bot.edit_message_reply_markup(
            chat_id=message.chat.id, message_id=message.message_id, reply_markup=markup
        )


async def _answer(bot: Bot, query: CallbackQuery, text: str | None = None) -> None:
    """Let the button stop waiting; too late is no matter."""
    with suppress(TelegramAPIError):
        await bot.answer_callback_query(query.id, text)
