"""The commands: what they are called, whom they are for, what Telegram's menu says of them."""

from dataclasses import dataclass
from enum import Enum, auto

from aiogram.types import (
    BotCommand,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeUnion,
)


class For(Enum):
    """Whom a command is for. The owner may everything; in private chats everybody is their own."""

    EVERYONE = auto()
    ADMINISTRATORS = auto()
    OWNER = auto()
    PERSONA = auto()


@dataclass(frozen=True)
class Entry:
    """`groups_only`: it means nothing in a private chat. Without a hint it is in no menu."""

    who: For
    hint: str = ""
    groups_only: bool = False


COMMANDS = {
    "start": Entry(For.EVERYONE),
    "help": Entry(For.EVERYONE, "что я умею"),
    "privacy": Entry(For.EVERYONE, "что я храню"),
    "report": Entry(For.EVERYONE, "пожаловаться владельцу на моё сообщение"),
    "forgetme": Entry(For.EVERYONE, "удалить мои сообщения"),
    "settings": Entry(For.ADMINISTRATORS, "настройки чата", groups_only=True),
    "insanity": Entry(For.ADMINISTRATORS, "отвечать на всё, ещё раз: только когда зовут", True),
    "chattiness": Entry(For.ADMINISTRATORS, "как часто вступать самому, 0–100", groups_only=True),
    "quiet": Entry(For.ADMINISTRATORS, "тихие часы: 23-8 или off", groups_only=True),
    "mute": Entry(For.ADMINISTRATORS, "помолчать: 30m, 2h, 1d"),
    "unmute": Entry(For.ADMINISTRATORS, "снова говорить"),
    "reset": Entry(For.ADMINISTRATORS, "забыть разговор"),
    "delete": Entry(For.ADMINISTRATORS, "удалить моё сообщение и не повторять"),
    "optout": Entry(For.PERSONA),
    "optin": Entry(For.OWNER),
    "status": Entry(For.OWNER),
}


def menus() -> list[tuple[list[BotCommand], BotCommandScopeUnion]]:
    """What Telegram shows: everything that works in private, in groups what everyone may."""
    hinted = {name: entry for name, entry in COMMANDS.items() if entry.hint}
    private = [name for name, entry in hinted.items() if not entry.groups_only]
    everyone = [name for name, entry in hinted.items() if entry.who is For.EVERYONE]
    return [
        (_listed(private), BotCommandScopeAllPrivateChats()),
        (_listed(everyone), BotCommandScopeAllGroupChats()),
        (_listed(list(hinted)), BotCommandScopeAllChatAdministrators()),
    ]


def _listed(names: list[str]) -> list[BotCommand]:
    return [BotCommand(command=name, description=COMMANDS[name].hint) for name in names]
