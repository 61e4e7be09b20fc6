"""Lists of commands that bots have set, by scope and language. Pure."""

from aiogram.types import BotCommand, BotCommandScopeDefault, BotCommandScopeUnion

from services.sandbox.rooms import BotAccount

Key = tuple[str, str, str]


class Commands:
    """A list is found only under the scope and language it was set for, as in Telegram."""

    def __init__(self) -> None:
        self._lists: dict[Key, list[BotCommand]] = {}

    def put(
        self,
        bot: BotAccount,
        commands: list[BotCommand],
        scope: BotCommandScopeUnion | None,
        language: str | None,
    ) -> None:
        self._lists[_key(bot, scope, language)] = commands

    def get(
        self, bot: BotAccount, scope: BotCommandScopeUnion | None, language: str | None
    ) -> list[BotCommand]:
        return self._lists.get(_key(bot, scope, language), [])


def _key(bot: BotAccount, scope: BotCommandScopeUnion | None, language: str | None) -> Key:
    """No scope is the default one, no language is every language."""
    return bot.token, (scope or BotCommandScopeDefault()).model_dump_json(), language or ""
