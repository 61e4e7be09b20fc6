"""What each command does. Changes are committed with the answer that tells of them."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from aiogram import Bot, F
from aiogram.dispatcher.event.telegram import TelegramEventObserver
from aiogram.enums import ChatMemberStatus
from aiogram.exceptions import TelegramBadRequest
from aiogram.filters import BaseFilter, MagicData
from aiogram.types import Message, Update

from services.gateway import changes
from services.gateway.addressing import Identity, from_bot, sender_of, text_of, topic_of
from services.gateway.answer import Answer, Change, Outgoing
from services.gateway.command_list import COMMANDS, For
from services.gateway.config import GatewayConfig
from services.gateway.decision import ChatSettings, Decision
from services.gateway.office import Office
from services.gateway.pace import Pace
from services.gateway.store import Store

ADMINISTRATORS = (ChatMemberStatus.CREATOR, ChatMemberStatus.ADMINISTRATOR)
_SPAN = re.compile(r"(\d{1,3})\s*([mhdмчд])?", re.IGNORECASE)
_UNITS = {"m": 60, "м": 60, "h": 3600, "ч": 3600, "d": 86_400, "д": 86_400}
_HOURS = re.compile(r"(\d{1,2})(?::(\d\d))?\s*[-–—]\s*(\d{1,2})(?::(\d\d))?")
REPORTS = 5
"""Reports that a person may make in an hour."""
_OFF = frozenset({"off", "0", "нет", "выкл"})
_ON = frozenset({"on", "1", "да", "вкл"})


class May(BaseFilter):
    """Whether the sender may give the command."""

    async def __call__(
        self, message: Message, bot: Bot, config: GatewayConfig, decision: Decision
    ) -> bool:
        who = COMMANDS[decision.command or ""].who
        sender = message.from_user.id if message.from_user else 0
        if who is For.EVERYONE or sender in config.owner_ids:
            return True
        if who is For.PERSONA:
            return sender == config.persona_user_id
        if who is For.OWNER:
            return False
        return message.chat.type == "private" or await is_administrator(message, bot)


async def is_administrator(message: Message, bot: Bot) -> bool:
    """In groups administrators alone, the anonymous ones too, who write as the group itself."""
    if message.sender_chat is not None:
        return message.sender_chat.id == message.chat.id
    if message.from_user is None:
        return False
    member = await bot.get_chat_member(message.chat.id, message.from_user.id)
    return member.status in ADMINISTRATORS


def add_commands(router: TelegramEventObserver) -> None:
    for name, handler in HANDLERS.items():
        router.register(handler, MagicData(F.decision.command == name), May())
    router.register(refused, MagicData(F.decision.command))


def told(message: Message, text: str, *made: Change, markup: str | None = None) -> Answer:
    """An answer to the message: quoted in groups, where others talk in between."""
    quoted = 0 if message.chat.type == "private" else message.message_id
    sent = Outgoing(message.chat.id, text, topic_of(message), quoted, markup=markup)
    return Answer((sent,), made)


async def _settings(message: Message, store: Store) -> ChatSettings:
    return await store.turns.settings(message.chat.id, topic_of(message))


def _set(message: Message, found: ChatSettings, **values: Any) -> Change:
    wanted = found.model_copy(update=values)
    return changes.settings(message.chat.id, topic_of(message), wanted)


async def refused(message: Message, decision: Decision, config: GatewayConfig) -> Answer:
    if decision.command in ("optout", "optin", "status"):
        return Answer()  # nobody else knows of them
    text = config.insanity_refused if decision.command == "insanity" else config.refused
    return told(message, text)


async def start(message: Message, config: GatewayConfig) -> Answer:
    return told(message, config.start)


async def tell_help(message: Message, config: GatewayConfig) -> Answer:
    return told(message, config.help)


async def privacy(message: Message, config: GatewayConfig) -> Answer:
    text = config.privacy.replace("{days}", str(config.retention_days))
    return told(message, text + (config.privacy_optout if config.persona_user_id else ""))


async def insanity(
    message: Message, decision: Decision, config: GatewayConfig, store: Store
) -> Answer:
    """Switch the mode as it is told, else turn it over."""
    if message.chat.type == "private":
        return told(message, config.insanity_private)
    found, wanted = await _settings(message, store), decision.arguments.lower()
    if wanted and wanted not in _ON | _OFF:
        return told(message, config.unclear.replace("{example}", "/insanity on"))
    insane = wanted in _ON if wanted else not found.insane
    text = config.insanity_on if insane else config.insanity_off
    return told(message, text, _set(message, found, insane=insane))


async def chattiness(
    message: Message, decision: Decision, config: GatewayConfig, store: Store
) -> Answer:
    if message.chat.type == "private":
        return told(message, config.insanity_private)
    wanted = decision.arguments.removesuffix("%").strip()
    if not (wanted.isascii() and wanted.isdigit() and int(wanted) <= 100):
        return told(message, config.unclear.replace("{example}", "/chattiness 15"))
    change = _set(message, await _settings(message, store), chattiness=int(wanted))
    return told(message, config.chattiness.replace("{percent}", str(int(wanted))), change)


async def quiet(
    message: Message, decision: Decision, config: GatewayConfig, store: Store
) -> Answer:
    found = await _settings(message, store)
    if decision.arguments.lower() in _OFF:
        return told(message, config.quiet_off, _set(message, found, quiet=None))
    if (hours := hours_of(decision.arguments)) is None:
        return told(message, config.unclear.replace("{example}", "/quiet 23-8"))
    begin, end = (f"{minute // 60}:{minute % 60:02}" for minute in hours)
    text = config.quiet.replace("{begin}", begin).replace("{end}", end)
    return told(message, text, _set(message, found, quiet=hours))


def hours_of(text: str) -> tuple[int, int] | None:
    """`23-8` or `22:30-7:15` as minutes of the day; None for anything else."""
    if not (found := _HOURS.fullmatch(text.strip())):
        return None
    hour, minute, end_hour, end_minute = (int(each or 0) for each in found.groups())
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    if max(hour, end_hour) > 23 or max(minute, end_minute) > 59 or begin == end:
        return None
    return begin, end


async def mute(
    message: Message, decision: Decision, config: GatewayConfig, store: Store, pace: Pace
) -> Answer:
    if (seconds := span_of(decision.arguments or "1h")) is None:
        return told(message, config.unclear.replace("{example}", "/mute 2h"))
    until = pace.now() + seconds
    local = (datetime.fromtimestamp(until, UTC) + timedelta(seconds=59)).astimezone(config.zone)
    text = config.muted.replace("{until}", f"{local:%d.%m %H:%M}")
    return told(message, text, _set(message, await _settings(message, store), muted_until=until))


def span_of(text: str) -> float | None:
    """`30m`, `2h`, `1d`, a number of minutes; None for anything else."""
    found = _SPAN.fullmatch(text.strip())
    if not found or not int(found[1]):
        return None
    return float(int(found[1]) * _UNITS[(found[2] or "m").lower()])


async def unmute(message: Message, config: GatewayConfig, store: Store) -> Answer:
    change = _set(message, await _settings(message, store), muted_until=0.0)
    return told(message, config.unmuted, change)


async def reset(message: Message, config: GatewayConfig) -> Answer:
    return told(message, config.reset, changes.reset(message.chat.id, topic_of(message)))


async def delete(
    message: Message, bot: Bot, me: Identity, config: GatewayConfig, pace: Pace
) -> Answer:
    """Delete what the bot said, and never say it again there; the owner's word holds everywhere."""
    if (own := _own(message, me)) is None:
        return _asked_of_nobody(message, config)
    with suppress(TelegramBadRequest):  # gone, or too old: it is not said again all the same
        await bot.delete_message(message.chat.id, own.message_id)
    owner = message.from_user is not None and message.from_user.id in config.owner_ids
    place = message.chat.id, own.message_id
    return told(message, config.deleted, changes.deny(*place, text_of(own), pace.now(), owner))


async def report(
    message: Message, me: Identity, config: GatewayConfig, store: Store, pace: Pace
) -> Answer:
    """Show the owner what the bot said, without who reports it; a few times an hour."""
    if (own := _own(message, me)) is None:
        return _asked_of_nobody(message, config)
    sender, now = sender_of(message), pace.now()
    if not config.owner_ids or await store.turns.had(sender, "report", now - 3600) >= REPORTS:
        return told(message, config.unheard)
    where = f"{message.chat.title}, {message.chat.id}" if message.chat.title else "личный чат"
    text = f"Жалоба ({where}):\n{text_of(own)}"[:2000]
    answer = told(message, config.reported)
    owners = tuple(Outgoing(owner, text) for owner in sorted(config.owner_ids))
    had = changes.had(sender, message.chat.id, "report", now)
    return Answer((*answer.messages, *owners), (had,))


def _own(message: Message, me: Identity) -> Message | None:
    """The bot's own message that this one answers."""
    target = message.reply_to_message
    mine = target is not None and target.from_user is not None and target.from_user.id == me.id
    return target if mine else None


def _asked_of_nobody(message: Message, config: GatewayConfig) -> Answer:
    """Where another bot is answered, the command is meant for that one."""
    target = message.reply_to_message
    return Answer() if target is not None and from_bot(target) else told(message, config.answer_me)


async def forgetme(
    message: Message, event_update: Update, config: GatewayConfig, office: Office
) -> Answer:
    """Delete what the person wrote, here and, by the next extraction, in the data set."""
    person = message.from_user
    if person is None or message.sender_chat is not None:
        return told(message, config.refused)
    await office.forget(person)
    change = changes.forget(person.id, event_update.update_id)
    return told(message, config.forgotten, change)


async def optout(message: Message, config: GatewayConfig) -> Answer:
    return told(message, config.opted_out, changes.opted_out(True))


async def optin(message: Message, config: GatewayConfig) -> Answer:
    return told(message, config.opted_in, changes.opted_out(False))


async def status(message: Message, office: Office) -> Answer:
    return told(message, await office.status())


HANDLERS: dict[str, Callable[..., Any]] = {
    "start": start,
    "help": tell_help,
    "privacy": privacy,
    "insanity": insanity,
    "chattiness": chattiness,
    "quiet": quiet,
    "mute": mute,
    "unmute": unmute,
    "reset": reset,
    "delete": delete,
    "report": report,
    "forgetme": forgetme,
    "optout": optout,
    "optin": optin,
    "status": status,
}
"""`/settings` is in `menu`."""
