"""What each command does. `command_table` says who may give it.

A handler returns an Answer; what it writes is committed together with the answer that tells of it.
"""

import asyncio
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from contracts.forget import Forgotten, append
from contracts.retry import backoff, retry
from services.gateway.answer import Answer, Outgoing, Write, answer_to
from services.gateway.bot_config import GatewayConfig, read_hours
from services.gateway.context import Context
from services.gateway.incoming import Identity, Message
from services.gateway.reasons import ChatSettings
from services.gateway.settings_keyboard import keyboard
from services.gateway.store import chats, history, inbox, outbox
from services.gateway.texts import Texts
from telemetry.logs import logger

REPORTS_AN_HOUR = 5
DAY = 86_400.0
_SPAN = re.compile(r"(\d{1,3})\s*([mhdмчд])?", re.IGNORECASE)
_UNITS = {"m": 60, "м": 60, "h": 3600, "ч": 3600, "d": 86_400, "д": 86_400}
_OFF = frozenset({"off", "0", "нет", "выкл"})
_ON = frozenset({"on", "1", "да", "вкл"})


@dataclass(frozen=True)
class Order:
    """A command that somebody gives in a chat with those settings."""

    message: Message
    update_id: int
    settings: ChatSettings
    me: Identity
    context: Context
    now: float
    model_version: str
    last_poll: float

    @property
    def config(self) -> GatewayConfig:
        return self.context.config

    @property
    def texts(self) -> Texts:
        return self.config.texts

    @property
    def argument(self) -> str:
        return self.message.command.arguments if self.message.command else ""

    def tell(self, text: str, *writes: Write, **extra: Any) -> Answer:
        return Answer((answer_to(self.message, text, extra=extra),), writes)

    def set(self, text: str, **values: Any) -> Answer:
        """Change the chat's settings and say so."""
        chat, topic = self.message.chat, self.message.topic
        wanted = self.settings.model_copy(update=values)
        return self.tell(text, lambda db: chats.set_settings(db, chat, topic, wanted))

    def silence(self, answer: Answer, everywhere: bool = False) -> Answer:
        """The same answer, which ends what the bot is about to say in this chat, or everywhere."""
        here = self.message.chat, self.message.topic
        return replace(answer, silences=(0, 0) if everywhere else here)

    def explain(self, example: str) -> Answer:
        return self.tell(self.texts.unclear.replace("{example}", example))


async def start(order: Order) -> Answer:
    return order.tell(order.texts.start)


async def show_help(order: Order) -> Answer:
    return order.tell(order.texts.help)


async def privacy(order: Order) -> Answer:
    texts = order.texts
    text = texts.privacy.replace("{days}", str(order.config.retention_days))
    return order.tell(text + (texts.privacy_optout if order.config.persona_user_id else ""))


async def show_settings(order: Order) -> Answer:
    return order.tell(order.texts.settings, reply_markup=keyboard(order.settings, order.now))


async def insanity(order: Order) -> Answer:
    """Switch the mode as it is told, else toggle it."""
    texts, word = order.texts, order.argument.lower()
    if word and word not in _ON | _OFF:
        return order.explain("/insanity on")
    is_insane = word in _ON if word else not order.settings.insane
    return order.set(texts.insanity_on if is_insane else texts.insanity_off, insane=is_insane)


async def chattiness(order: Order) -> Answer:
    number = order.argument.removesuffix("%").strip()
    if not (number.isascii() and number.isdigit() and int(number) <= 100):
        return order.explain("/chattiness 15")
    text = order.texts.chattiness.replace("{percent}", str(int(number)))
    return order.set(text, chattiness=int(number))


async def quiet(order: Order) -> Answer:
    texts = order.texts
    if order.argument.lower() in _OFF:
        return order.set(texts.quiet_off, quiet=None)
    if (hours := read_hours(order.argument)) is None:
        return order.explain("/quiet 23-8")
    begin, end = (f"{minute // 60}:{minute % 60:02}" for minute in hours)
    return order.set(texts.quiet.replace("{begin}", begin).replace("{end}", end), quiet=hours)


async def mute(order: Order) -> Answer:
    if (seconds := read_span(order.argument or "1h")) is None:
        return order.explain("/mute 2h")
    until = order.now + seconds
    rounded_up = datetime.fromtimestamp(until, UTC) + timedelta(seconds=59)
    local = f"{rounded_up.astimezone(order.config.zone):%d.%m %H:%M}"
    told = order.texts.muted.replace("{until}", local)
    return order.silence(order.set(told, muted_until=until))


def read_span(text: str) -> float | None:
    """Return `30m`, `2h`, `1d` or a number of minutes in seconds; None for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if not found or not int(found[1]):
        return None
    return float(int(found[1]) * _UNITS[(found[2] or "m").lower()])


async def unmute(order: Order) -> Answer:
    return order.set(order.texts.unmuted, muted_until=0.0)


async def reset(order: Order) -> Answer:
    chat, topic = order.message.chat, order.message.topic
    await order.context.database.work_off(lambda db: history.reset(db, chat, topic), rewrite=True)
    return order.silence(order.tell(order.texts.reset))


async def delete(order: Order) -> Answer:
    """Delete what the bot said, and never say it again there; the owner's word holds everywhere."""
    said, chat = order.message.replied_to, order.message.chat
    if said.user.id != order.me.id:
        return _not_own(order)
    everywhere = order.message.person.id in order.config.owner_ids
    extra = {"chat_id": chat, "message_id": said.message_id}
    call = Outgoing(chat, method="deleteMessage", extra=extra)
    told = order.tell(
        order.texts.deleted, lambda db: chats.deny(db, chat, said, order.now, everywhere)
    )
    return order.silence(Answer((call, *told.calls), told.writes))


async def report(order: Order) -> Answer:
    """Show the owner what the bot said, without who reports it; a few times an hour."""
    message, owners = order.message, sorted(order.config.owner_ids)
    if message.replied_to.user.id != order.me.id:
        return _not_own(order)
    async with order.context.database.transaction() as db:
        asks = chats.count_asks(db, "user_id", message.sender, order.now - 3600, order.now)
    if not owners or asks["report"] >= REPORTS_AN_HOUR:
        return order.tell(order.texts.unheard)
    where = f"{message.chat_title}, {message.chat}" if message.chat_title else "личный чат"
    text = f"Жалоба ({where}):\n{message.replied_to.text}"[:2000]
    told = order.tell(
        order.texts.reported, lambda db: chats.add_ask(db, message, "report", order.now)
    )
    return Answer((*told.calls, *(Outgoing(owner, text) for owner in owners)), told.writes)


def _not_own(order: Order) -> Answer:
    """Where another bot's message is answered, the command is meant for that bot."""
    is_for_another = order.message.replied_to.user.is_bot
    return Answer() if is_for_another else order.tell(order.texts.answer_me)


async def forgetme(order: Order) -> Answer:
    """Delete what the person wrote, here and, with the next extraction, in the data set."""
    person = order.message.person
    if not person.id:
        return order.tell(order.texts.refused)
    names = tuple(dict.fromkeys(filter(None, (person.name, person.username))))
    # a wrong clock of ours must have nothing forgotten that is written later
    at = min(max(order.now, order.message.at), order.message.at + DAY)
    entry = Forgotten(user_id=person.id, names=names, at=at)
    note = partial(asyncio.to_thread, append, order.context.forget_file, entry)
    try:
        await retry(note, order.context.clock, _few_attempts)
    except OSError:
        return order.tell(order.texts.not_forgotten)
    update_id = order.update_id
    await order.context.database.work_off(
        lambda db: history.forget(db, person.id, before_id=update_id), rewrite=True
    )
    return order.tell(order.texts.forgotten, lambda db: outbox.forget(db, person.id, math.inf))


def _few_attempts(error: Exception, attempt: int) -> float | None:
    """For as long as the chat can wait."""
    logger().error("the forget list does not take an entry", error=error, attempt=attempt + 1)
    return backoff(attempt) if attempt < 3 else None


async def optout(order: Order) -> Answer:
    told = order.tell(order.texts.opted_out, lambda db: chats.opt_out(db, True))
    return order.silence(told, everywhere=True)


async def optin(order: Order) -> Answer:
    return order.tell(order.texts.opted_in, lambda db: chats.opt_out(db, False))


async def status(order: Order) -> Answer:
    """Tell the model version, the queues and the last poll; nothing of what people wrote."""
    async with order.context.database.transaction() as db:
        waiting = inbox.count_waiting(db) - 1  # but for this command
        planned = outbox.count_planned(db)
    polled = order.last_poll
    ago = f"{order.now - polled:.0f} с назад" if polled else "ещё не было"
    return order.tell(
        f"{order.context.bot}: версия модели {order.model_version or 'ещё не известна'}\n"
        f"Не разобрано сообщений: {waiting}\nНе отправлено: {planned}\n"
        f"Последний опрос Telegram: {ago}"
    )
