"""What each command does. `command_table` says who may give it.

A handler returns an Answer; what it writes is committed together with the answer that tells of it.
"""

import asyncio
import math
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from aiogram.exceptions import AiogramError

from contracts.clock import DAY
from contracts.forget import Forgotten, append
from contracts.retry import backoff, retry
from services.gateway.administrators import is_administrator, reads_all
from services.gateway.answer import Answer, Silence, Write, answer_to, silence_by
from services.gateway.arguments import read_hours, read_percent, read_span, read_switch
from services.gateway.bot_config import GatewayConfig
from services.gateway.context import Context
from services.gateway.incoming import Identity, Message
from services.gateway.reasons import ChatSettings, Minutes
from services.gateway.settings_keyboard import NIGHT, keyboard, local_time
from services.gateway.store import chats, history, inbox, outbox
from services.gateway.texts import Texts
from telemetry.logs import logger

REPORTS_AN_HOUR = 5


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

    async def is_done(self, method: str, **parameters: Any) -> bool:
        """Whether Telegram does it within some seconds."""
        try:
            await self.context.try_call(method, **parameters)
        except AiogramError as error:
            logger().warning("not done", method=method, error=error)
            return "message to delete not found" in str(error)  # it is gone
        return True

    def set(self, text: str, **values: Any) -> Answer:
        """Change the chat's settings and say so."""
        chat, topic = self.message.chat, self.message.topic
        wanted = self.settings.model_copy(update=values)
        silence = silence_by(wanted, chat, topic, self.now, self.config.time_zone)
        if wanted.muted_until > self.now:  # or what is said would not be done
            until = local_time(wanted.muted_until, self.config.time_zone)
            text = f"{text} {self.texts.muted.replace('{until}', until)}".strip()
        elif silence and "quiet" not in values and (wanted.insane or wanted.chattiness):
            text = f"{text} {self.name_quiet(wanted.quiet or NIGHT)}"
        told = self.tell(text, lambda db: chats.set_settings(db, chat, topic, wanted))
        return replace(told, silence=silence)

    def name_quiet(self, hours: Minutes) -> str:
        begin, end = (f"{minute // 60}:{minute % 60:02}" for minute in hours)
        return self.texts.quiet.replace("{begin}", begin).replace("{end}", end)

    def explain(self, example: str) -> Answer:
        return self.tell(self.texts.unclear.replace("{example}", example))

    async def by_administrator(self) -> bool | None:
        """Whether an administrator gives it; None where it cannot be known."""
        message, person = self.message, self.message.person.id
        if message.is_private or person in self.config.owner_ids:
            return True
        if not person:  # an anonymous administrator writes as the group itself
            return message.sender == message.chat or None
        return await is_administrator(self.context, message.chat, person)

    async def warned(self, text: str) -> str:
        """Return the text, and what to do where the bot does not get all that is written."""
        hears_all = await reads_all(self.context, self.me, self.message.chat)
        return text if hears_all else f"{text}\n{self.texts.privacy_mode}"


async def start(order: Order) -> Answer:
    return order.tell(order.texts.start)


async def show_help(order: Order) -> Answer:
    """People are told of talk and their rights, administrators in a group of what they can set."""
    if order.message.is_private or not await order.by_administrator():
        return order.tell(order.texts.help)
    return order.tell(await order.warned(order.texts.help_admin))


async def unknown(order: Order) -> Answer:
    """A command that there is not: help in private, in a group a line."""
    text = order.texts.unknown.replace("{help}", f"/help@{order.me.username}")
    return await show_help(order) if order.message.is_private else order.tell(text)


async def privacy(order: Order) -> Answer:
    texts = order.texts
    text = texts.privacy.replace("{days}", str(order.config.retention_days))
    return order.tell(text + (texts.privacy_optout if order.config.persona_user_id else ""))


async def show_settings(order: Order) -> Answer:
    markup = keyboard(order.settings, order.now, order.config.time_zone)
    return order.tell(await order.warned(order.texts.settings), reply_markup=markup)


async def insanity(order: Order) -> Answer:
    """Switch the mode as it is told, else toggle it."""
    is_insane = read_switch(order.argument) if order.argument else not order.settings.insane
    if is_insane is None:
        return order.explain("/insanity on (или off)")
    if not is_insane:
        return order.set(order.texts.insanity_off, insane=False)
    return order.set(await order.warned(order.texts.insanity_on), insane=True)


async def chattiness(order: Order) -> Answer:
    """Set how often it talks unasked, which ends insanity."""
    percent = read_percent(order.argument)
    if percent is None:
        return order.explain("/chattiness 15 (от 0 до 100)")
    if not percent:
        return order.set(order.texts.chattiness_off, chattiness=0, insane=False)
    text = await order.warned(order.texts.chattiness.replace("{percent}", str(percent)))
    return order.set(text, chattiness=percent, insane=False)


async def quiet(order: Order) -> Answer:
    switch = read_switch(order.argument)
    if switch is False:
        return order.set(order.texts.quiet_off, quiet=None)
    hours = order.config.quiet or NIGHT if switch else read_hours(order.argument)
    if hours is None:
        return order.explain("/quiet 23-8 (часы от 0 до 24, или off)")
    return order.set(order.name_quiet(hours), quiet=hours)


async def mute(order: Order) -> Answer:
    local = datetime.fromtimestamp(order.now, order.config.time_zone)
    seconds = read_span(order.argument or "1h", local)
    if seconds is None and read_switch(order.argument) is False:
        return await unmute(order)
    if seconds is None:
        return order.explain("/mute 2 часа (от минуты до 366 дней)")
    return order.set("", muted_until=order.now + seconds)


async def unmute(order: Order) -> Answer:
    return order.set(order.texts.unmuted, muted_until=0.0)


async def reset(order: Order) -> Answer:
    here = order.message.chat, order.message.topic, order.update_id
    await order.context.database.work_off(lambda db: history.reset(db, *here), rewrite=True)
    return replace(order.tell(order.texts.reset), silence=Silence(*here[:2]))


async def delete(order: Order) -> Answer:
    """Delete what the bot said, and never say it again there; the owner's word holds everywhere."""
    said, chat = order.message.replied_to, order.message.chat
    if said.user.id != order.me.id:
        return order.tell(order.texts.answer_me)
    everywhere = order.message.person.id in order.config.owner_ids
    async with order.context.database.transaction() as db:
        chats.deny(db, chat, said, order.now, everywhere)
    is_gone = await order.is_done("deleteMessage", chat_id=chat, message_id=said.message_id)
    told = order.tell(order.texts.deleted if is_gone else order.texts.not_deleted)
    return replace(told, silence=Silence(chat, order.message.topic))


async def report(order: Order) -> Answer:
    """Show the owner what the bot said, without who reports it; a few times an hour."""
    message, owners = order.message, sorted(order.config.owner_ids)
    if message.replied_to.user.id != order.me.id:
        return order.tell(order.texts.answer_me)
    async with order.context.database.transaction() as db:
        asks = chats.count_asks(db, "user_id", message.sender, order.now - 3600, order.now)
    if not owners:
        return order.tell(order.texts.ownerless)
    if asks["report"] >= REPORTS_AN_HOUR:
        return order.tell(order.texts.unheard)
    where = f"{message.chat_title}, {message.chat}" if message.chat_title else "личный чат"
    text = f"Жалоба ({where}):\n{message.replied_to.text}"[:2000]
    copies = [order.is_done("sendMessage", chat_id=owner, text=text) for owner in owners]
    answer = order.texts.reported if any(await asyncio.gather(*copies)) else order.texts.unheard
    return order.tell(answer, lambda db: chats.add_ask(db, message, "report", order.now))


async def forgetme(order: Order) -> Answer:
    """Delete what the person wrote, here and, with the next extraction, in the data set."""
    person = order.message.person
    if not person.id:
        return order.tell(order.texts.anonymous)
    names = tuple(dict.fromkeys(filter(None, (person.name, person.username))))
    # a wrong clock of ours must have nothing forgotten that is written later
    at = min(max(order.now, order.message.at), order.message.at + DAY)
    entry = Forgotten(user_id=person.id, names=names, at=at)
    note = partial(asyncio.to_thread, append, order.context.forget_file, entry)
    try:
        await retry(note, order.context.clock, _few_attempts)
    except OSError:
        return order.tell(order.texts.not_forgotten)
    order.context.forgotten[person.id] = at
    order.context.explanations.forget()
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
    return replace(told, silence=Silence())


async def optin(order: Order) -> Answer:
    return order.tell(order.texts.opted_in, lambda db: chats.opt_out(db, False))


async def status(order: Order) -> Answer:
    """Tell the model version, the queues and the last poll; nothing of what people wrote."""
    async with order.context.database.transaction() as db:
        waiting = inbox.count_waiting(db) - 1  # but for this command
        planned = outbox.count(db)
    polled = order.last_poll
    ago = f"{order.now - polled:.0f} с назад" if polled else "ещё не было"
    return order.tell(
        f"{order.context.bot}: версия модели {order.model_version or 'ещё не известна'}\n"
        f"Не разобрано сообщений: {waiting}\nНе отправлено: {planned}\n"
        f"Последний опрос Telegram: {ago}"
    )
