"""The bot's commands: `COMMANDS` is the table of them, `command_handlers` what each one does."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Any

from services.gateway import command_handlers as handlers
from services.gateway.answer import Answer
from services.gateway.command_handlers import Order
from services.gateway.incoming import Identity, Message


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
    """Whom a command is for, and what carries it out; `hint` is what Telegram's menu says of it."""

    who: For
    run: Callable[[Order], Awaitable[Answer]]
    traits: Trait = _NONE
    hint: str = ""


_ALL, _ADMIN, _ANYWAY = For.EVERYONE, For.ADMINISTRATORS, Trait.UNSERVED | Trait.OPTED_OUT
_GROUPS, _OUT = Trait.GROUPS_ONLY, Trait.OPTED_OUT
_FREE, _SECRET = Trait.UNLIMITED, Trait.SECRET | Trait.OPTED_OUT
COMMANDS = {
    "start": CommandEntry(_ALL, handlers.start),
    "help": CommandEntry(_ALL, handlers.show_help, hint="что я умею"),
    "privacy": CommandEntry(_ALL, handlers.privacy, _ANYWAY, "что я о вас храню"),
    "report": CommandEntry(_ALL, handlers.report, _OUT, "пожаловаться на моё сообщение"),
    "forgetme": CommandEntry(_ALL, handlers.forgetme, _ANYWAY | _FREE, "забыть ваши сообщения"),
    "settings": CommandEntry(_ADMIN, handlers.show_settings, _GROUPS, "настройки этого чата"),
    "insanity": CommandEntry(_ADMIN, handlers.insanity, _GROUPS, "отвечать на всё или когда зовут"),
    "chattiness": CommandEntry(_ADMIN, handlers.chattiness, _GROUPS),
    "quiet": CommandEntry(_ADMIN, handlers.quiet, _GROUPS),
    "mute": CommandEntry(_ADMIN, handlers.mute, _FREE),
    "unmute": CommandEntry(_ADMIN, handlers.unmute, _FREE),
    "reset": CommandEntry(_ADMIN, handlers.reset, hint="начать разговор заново"),
    "delete": CommandEntry(_ADMIN, handlers.delete, _OUT),
    "optout": CommandEntry(For.PERSONA, handlers.optout, _ANYWAY | _FREE | _SECRET),
    "optin": CommandEntry(For.OWNER, handlers.optin, _SECRET),
    "status": CommandEntry(For.OWNER, handlers.status, _SECRET),
}
_MENUS = {
    "all_private_chats": ("help", "reset", "privacy", "forgetme"),
    "all_group_chats": ("help", "report"),
    "all_chat_administrators": ("help", "insanity", "report", "settings"),
}
"""What Telegram lists where somebody types a slash; every other command stands in /help."""
_ALONE = re.compile(r"/[^\W\d]\w{0,31}[.,!?…]*")
_UNKNOWN = CommandEntry(_ALL, handlers.unknown)


def command_entry(message: Message, me: Identity) -> CommandEntry | None:
    """Return the command that somebody gives this bot; None for talk and for other bots' commands.

    Below another bot's words a command without a name is that bot's. One that there is not is meant
    for this bot where it is named, and in private, where no other bot is. A path, a number, a date
    and «/дом стоит» are talk there, «/дом» alone is not.
    """
    command = message.command
    target = command.target.lower() if command else ""
    is_below_another = message.replied_to.is_by_bot and message.answered not in (0, me.id)
    is_ours = target == me.username.lower() or not (target or is_below_another)
    if command and is_ours and command.name in COMMANDS:
        return COMMANDS[command.name]
    is_word = (command and command.name[0].isalpha()) or _ALONE.fullmatch(message.plain.strip())
    is_meant = message.is_private or (target and is_ours)
    return _UNKNOWN if is_word and is_meant else None


async def run_command(order: Order) -> Answer:
    """Carry out a command, or refuse it to who may not give it."""
    texts, command = order.texts, command_entry(order.message, order.me) or _UNKNOWN
    if Trait.GROUPS_ONLY in command.traits and order.message.is_private:
        return order.tell(texts.groups_only)
    may = await _may_give(order, command.who)
    if may:
        return await command.run(order)
    if Trait.SECRET in command.traits:
        return Answer()
    if may is None:
        return order.tell(texts.unsure if order.message.person.id else texts.anonymous)
    return order.tell(texts.refused)


async def _may_give(order: Order, who: For) -> bool | None:
    """Return None where it cannot be known."""
    if who is For.ADMINISTRATORS:
        return await order.by_administrator()
    person, config = order.message.person.id, order.config
    is_persona = who is For.PERSONA and person == config.persona_user_id
    return who is For.EVERYONE or is_persona or person in config.owner_ids


def menus() -> Iterator[dict[str, Any]]:
    """Yield parameters of setMyCommands, for private chats, groups and their administrators."""
    for scope, names in _MENUS.items():
        commands = [{"command": name, "description": COMMANDS[name].hint} for name in names]
        yield {"commands": commands, "scope": {"type": scope}}
