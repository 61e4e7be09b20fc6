"""The bot's commands: `COMMANDS` is the table of them, beside it stands what each one does.

A command returns an Answer; what it writes is committed together with the answer that tells of it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, Flag, auto
from typing import Any

from contracts.forget import Forgotten, append
from services.gateway.answer import Answer, Outgoing, Write, answer_to
from services.gateway.bot_api import BotApi
from services.gateway.config import GatewayConfig, read_hours
from services.gateway.context import Context
from services.gateway.decision import ChatSettings
from services.gateway.incoming import Identity, Message
from services.gateway.settings_keyboard import keyboard
from services.gateway.store import history, inbox, outbox
from services.gateway.texts import Texts

REPORTS_AN_HOUR = 5
_ADMINISTRATORS = ("creator", "administrator")
_SPAN = re.compile(r"(\d{1,3})\s*([mhdмчд])?", re.IGNORECASE)
_UNITS = {"m": 60, "м": 60, "h": 3600, "ч": 3600, "d": 86_400, "д": 86_400}
_OFF = frozenset({"off", "0", "нет", "выкл"})
_ON = frozenset({"on", "1", "да", "вкл"})


class For(Enum):
    """Whom a command is for. The owner may give each; in a private chat everybody administrates."""

    EVERYONE = auto()
    ADMINISTRATORS = auto()
    OWNER = auto()
    PERSONA = auto()


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
        return self.tell(text, lambda db: history.set_settings(db, chat, topic, wanted))

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
    return order.set(order.texts.muted.replace("{until}", local), muted_until=until)


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
    return order.tell(order.texts.reset, lambda db: history.reset(db, chat, topic))


async def delete(order: Order) -> Answer:
    """Delete what the bot said, and never say it again there; the owner's word holds everywhere."""
    said, chat = order.message.replied_to, order.message.chat
    if said.user.id != order.me.id:
        return _not_own(order)
    everywhere = order.message.person.id in order.config.owner_ids
    extra = {"chat_id": chat, "message_id": said.message_id}
    call = Outgoing(chat, method="deleteMessage", extra=extra)
    told = order.tell(
        order.texts.deleted, lambda db: history.deny(db, chat, said, order.now, everywhere)
    )
    return Answer((call, *told.calls), told.writes)


async def report(order: Order) -> Answer:
    """Show the owner what the bot said, without who reports it; a few times an hour."""
    message, owners = order.message, sorted(order.config.owner_ids)
    if message.replied_to.user.id != order.me.id:
        return _not_own(order)
    async with order.context.database.transaction() as db:
        asks = history.count_asks(db, "user_id", message.sender, order.now - 3600, order.now)
    if not owners or asks["report"] >= REPORTS_AN_HOUR:
        return order.tell(order.texts.unheard)
    where = f"{message.chat_title}, {message.chat}" if message.chat_title else "личный чат"
    text = f"Жалоба ({where}):\n{message.replied_to.text}"[:2000]
    told = order.tell(
        order.texts.reported, lambda db: history.add_ask(db, message, "report", order.now)
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
    entry = Forgotten(user_id=person.id, names=names, at=order.now)
    await asyncio.to_thread(append, order.context.forget_file, entry)
    update_id = order.update_id
    return order.tell(
        order.texts.forgotten, lambda db: history.forget(db, person.id, before_id=update_id)
    )


async def optout(order: Order) -> Answer:
    return order.tell(order.texts.opted_out, lambda db: history.opt_out(db, True))


async def optin(order: Order) -> Answer:
    return order.tell(order.texts.opted_in, lambda db: history.opt_out(db, False))


async def status(order: Order) -> Answer:
    """Tell the model version, the queues and the last poll; nothing of what people wrote."""
    async with order.context.database.transaction() as db:
        waiting = len(inbox.waiting(db)) - 1  # but for this command
        planned = outbox.count_planned(db)
    polled = order.last_poll
    ago = f"{order.now - polled:.0f} с назад" if polled else "ещё не было"
    return order.tell(
        f"{order.context.bot}: версия модели {order.model_version or 'ещё не известна'}\n"
        f"Не разобрано сообщений: {waiting}\nНе отправлено: {planned}\n"
        f"Последний опрос Telegram: {ago}"
    )


class Trait(Flag):
    """
    GROUPS_ONLY   it means nothing in a private chat, where it says so
    UNLIMITED     never dropped by a limit: it holds the bot in check, or is promised to work
    UNSERVED      also for people who are not served
    OPTED_OUT     also while the imitated person has silenced the bot
    SECRET        who may not give it hears nothing of it
    """

    GROUPS_ONLY = auto()
    UNLIMITED = auto()
    UNSERVED = auto()
    OPTED_OUT = auto()
    SECRET = auto()


_NONE = Trait(0)


@dataclass(frozen=True)
class CommandEntry:
    """Whom a command is for, and what carries it out.

    `hint` is what Telegram's menu says of it; without one it is in no menu.
    """

    who: For
    run: Callable[[Order], Awaitable[Answer]]
    hint: str = ""
    traits: Trait = _NONE

    def has(self, trait: Trait) -> bool:
        return trait in self.traits


_ALL, _ADMIN, _ANYWAY = For.EVERYONE, For.ADMINISTRATORS, Trait.UNSERVED | Trait.OPTED_OUT
_GROUPS, _OUT, _FREE, _SECRET = (
    *(Trait.GROUPS_ONLY, Trait.OPTED_OUT, Trait.UNLIMITED, Trait.SECRET | Trait.OPTED_OUT),
)
COMMANDS = {
    "start": CommandEntry(_ALL, start),
    "help": CommandEntry(_ALL, show_help, "что я умею"),
    "privacy": CommandEntry(_ALL, privacy, "что я храню", _ANYWAY),
    "report": CommandEntry(_ALL, report, "пожаловаться владельцу на моё сообщение", _OUT),
    "forgetme": CommandEntry(_ALL, forgetme, "удалить мои сообщения", _ANYWAY | _FREE),
    "settings": CommandEntry(_ADMIN, show_settings, "настройки чата", _GROUPS),
    "insanity": CommandEntry(
        _ADMIN, insanity, "отвечать на всё, ещё раз: только когда зовут", _GROUPS
    ),
    "chattiness": CommandEntry(_ADMIN, chattiness, "как часто вступать самому, 0–100", _GROUPS),
    "quiet": CommandEntry(_ADMIN, quiet, "тихие часы: 23-8 или off", _GROUPS),
    "mute": CommandEntry(_ADMIN, mute, "помолчать: 30m, 2h, 1d", _FREE),
    "unmute": CommandEntry(_ADMIN, unmute, "снова говорить", _FREE),
    "reset": CommandEntry(_ADMIN, reset, "забыть разговор"),
    "delete": CommandEntry(_ADMIN, delete, "удалить моё сообщение и не повторять", _OUT),
    "optout": CommandEntry(For.PERSONA, optout, traits=_ANYWAY | _FREE | _SECRET),
    "optin": CommandEntry(For.OWNER, optin, traits=_SECRET),
    "status": CommandEntry(For.OWNER, status, traits=_SECRET),
}


async def run_command(order: Order) -> Answer:
    """Carry out a command of COMMANDS, or refuse it to who may not give it."""
    name = order.message.command.name if order.message.command else ""
    command, texts = COMMANDS[name], order.texts
    if command.has(Trait.GROUPS_ONLY) and order.message.is_private:
        return order.tell(texts.insanity_private)
    if await _may_give(order, command.who):
        return await command.run(order)
    if command.has(Trait.SECRET):
        return Answer()
    return order.tell(texts.insanity_refused if name == "insanity" else texts.refused)


async def _may_give(order: Order, who: For) -> bool:
    person, message = order.message.person.id, order.message
    if who is For.EVERYONE or person in order.config.owner_ids:
        return True
    if who is For.PERSONA:
        return person == order.config.persona_user_id
    if who is For.OWNER:
        return False
    if not person:  # an anonymous administrator writes as the group itself
        return message.sender == message.chat
    return message.is_private or await is_administrator(order.context.api, message.chat, person)


async def is_administrator(api: BotApi, chat: int, user: int) -> bool:
    member = await api.call("getChatMember", chat_id=chat, user_id=user)
    return isinstance(member, dict) and member.get("status") in _ADMINISTRATORS


def menus() -> list[dict[str, Any]]:
    """Return parameters of setMyCommands, for private chats, groups and their administrators."""
    hinted = {name: entry for name, entry in COMMANDS.items() if entry.hint}
    scopes = {
        "all_private_chats": [
            name for name, entry in hinted.items() if not entry.has(Trait.GROUPS_ONLY)
        ],
        "all_group_chats": [name for name, entry in hinted.items() if entry.who is For.EVERYONE],
        "all_chat_administrators": list(hinted),
    }
    return [
        {
            "commands": [{"command": name, "description": hinted[name].hint} for name in names],
            "scope": {"type": scope},
        }
        for scope, names in scopes.items()
    ]
