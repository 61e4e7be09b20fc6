"""The bot's commands: `COMMANDS` is the table of them, `command_handlers` what each one does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

from services.gateway import command_handlers as handlers
from services.gateway.answer import Answer
from services.gateway.bot_api import BotApi
from services.gateway.command_handlers import Order

_ADMINISTRATORS = ("creator", "administrator")


class For(Enum):
    """Whom a command is for. The owner may give each; in a private chat everybody administrates."""

    EVERYONE = auto()
    ADMINISTRATORS = auto()
    OWNER = auto()
    PERSONA = auto()


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


_ALL, _ADMIN, _ANYWAY = For.EVERYONE, For.ADMINISTRATORS, Trait.UNSERVED | Trait.OPTED_OUT
_GROUPS, _OUT = Trait.GROUPS_ONLY, Trait.OPTED_OUT
_FREE, _SECRET = Trait.UNLIMITED, Trait.SECRET | Trait.OPTED_OUT
COMMANDS = {
    "start": CommandEntry(_ALL, handlers.start),
    "help": CommandEntry(_ALL, handlers.show_help, "что я умею"),
    "privacy": CommandEntry(_ALL, handlers.privacy, "что я храню", _ANYWAY),
    "report": CommandEntry(_ALL, handlers.report, "пожаловаться владельцу на моё сообщение", _OUT),
    "forgetme": CommandEntry(_ALL, handlers.forgetme, "удалить мои сообщения", _ANYWAY | _FREE),
    "settings": CommandEntry(_ADMIN, handlers.show_settings, "настройки чата", _GROUPS),
    "insanity": CommandEntry(
        _ADMIN, handlers.insanity, "отвечать на всё, ещё раз: только когда зовут", _GROUPS
    ),
    "chattiness": CommandEntry(
        _ADMIN, handlers.chattiness, "как часто вступать самому, 0–100", _GROUPS
    ),
    "quiet": CommandEntry(_ADMIN, handlers.quiet, "тихие часы: 23-8 или off", _GROUPS),
    "mute": CommandEntry(_ADMIN, handlers.mute, "помолчать: 30m, 2h, 1d", _FREE),
    "unmute": CommandEntry(_ADMIN, handlers.unmute, "снова говорить", _FREE),
    "reset": CommandEntry(_ADMIN, handlers.reset, "забыть разговор"),
    "delete": CommandEntry(_ADMIN, handlers.delete, "удалить моё сообщение и не повторять", _OUT),
    "optout": CommandEntry(For.PERSONA, handlers.optout, traits=_ANYWAY | _FREE | _SECRET),
    "optin": CommandEntry(For.OWNER, handlers.optin, traits=_SECRET),
    "status": CommandEntry(For.OWNER, handlers.status, traits=_SECRET),
}


async def run_command(order: Order) -> Answer:
    """Carry out a command of COMMANDS, or refuse it to who may not give it."""
    name = order.message.command.name if order.message.command else ""
    command, texts = COMMANDS[name], order.texts
    if Trait.GROUPS_ONLY in command.traits and order.message.is_private:
        return order.tell(texts.insanity_private)
    if await _may_give(order, command.who):
        return await command.run(order)
    if Trait.SECRET in command.traits:
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
            name for name, entry in hinted.items() if Trait.GROUPS_ONLY not in entry.traits
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
