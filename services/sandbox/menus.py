"""The bots' lists of commands, each for a scope and a language, and which one somebody sees. Pure.

Scopes that name a single chat are refused: here the three kinds of chat members are enough.
"""

from dataclasses import dataclass, field
from typing import Any

from aiogram.types import BotCommand

from services.sandbox.errors import bad_request

_DEFAULT = "default"
AUDIENCES = {
    "private": ("all_private_chats", _DEFAULT),
    "group": ("all_group_chats", _DEFAULT),
    "owner": ("all_chat_administrators", "all_group_chats", _DEFAULT),
}
"""The scopes in which Telegram looks for somebody's list, in order; the owner is the group's."""
LANGUAGE = "ru"
"""What people here speak."""


@dataclass
class Menus:
    """A bot's lists, by scope and language; the language is empty where there is none."""

    lists: dict[tuple[str, str], list[BotCommand]] = field(default_factory=dict)

    def put(self, commands: list[BotCommand], scope: Any, language: str | None) -> None:
        """Keep a list; an empty one takes it away."""
        self.lists[_key(scope, language)] = commands

    def get(self, scope: Any, language: str | None) -> list[BotCommand]:
        return self.lists.get(_key(scope, language), [])

    def seen(self, audience: str) -> list[BotCommand]:
        """Return the first list that there is for somebody."""
        keys = [(scope, code) for scope in AUDIENCES[audience] for code in (LANGUAGE, "")]
        return next((self.lists[key] for key in keys if self.lists.get(key)), [])


def _key(scope: Any, language: str | None) -> tuple[str, str]:
    name = scope.type if scope else _DEFAULT
    if not any(name in scopes for scopes in AUDIENCES.values()):
        raise bad_request(f"unsupported scope {name}")
    return name, language or ""
