"""Lists of commands are kept for each scope and language of each bot."""

from aiogram import Bot
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeDefault,
    BotCommandScopeUnion,
)

from tests.services.sandbox.conftest import ANYA, Sandbox


async def listed(
    one: Bot, scope: BotCommandScopeUnion | None = None, language: str | None = None
) -> list[str]:
    return [c.command for c in await one.get_my_commands(scope=scope, language_code=language)]


async def test_a_list_is_found_where_it_was_set_and_nowhere_else(sandbox: Sandbox) -> None:
    avtobus = sandbox.avtobus
    private, chat = BotCommandScopeAllPrivateChats(), BotCommandScopeChat(chat_id=ANYA)
    for name, scope, language in (
        ("any", None, None),
        ("russian", None, "ru"),
        ("private", private, None),
        ("chat", chat, "ru"),
    ):
        command = BotCommand(command=name, description="Команда")
        assert await avtobus.set_my_commands([command], scope=scope, language_code=language)
    assert await listed(avtobus) == await listed(avtobus, BotCommandScopeDefault()) == ["any"]
    assert await listed(avtobus, language="ru") == ["russian"]
    assert await listed(avtobus, private) == ["private"]
    assert await listed(avtobus, chat, "ru") == ["chat"]
    assert await listed(avtobus, chat) == []
    assert await listed(avtobus, BotCommandScopeChat(chat_id=ANYA + 1), "ru") == []
    assert await listed(sandbox.polkson) == []


async def test_a_list_set_again_takes_the_place_of_the_earlier(sandbox: Sandbox) -> None:
    for name in ("one", "two"):
        await sandbox.avtobus.set_my_commands([BotCommand(command=name, description="Команда")])
    assert await listed(sandbox.avtobus) == ["two"]
