"""Bots talk to the sandbox through aiogram as they would to Telegram."""

import asyncio

import aiohttp
import pytest
from aiogram import exceptions
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeChat,
    ReplyParameters,
)

from tests.services.sandbox.conftest import (
    ANYA,
    GROUP_ID,
    NOON,
    TOKENS,
    Sandbox,
    bot,
    closed,
    received,
    refused,
)


async def test_a_private_message_reaches_that_bot_and_is_answered(sandbox: Sandbox) -> None:
    await sandbox.say("  Привет ", chat="avtobus")
    (message,) = await received(sandbox.avtobus)
    assert await sandbox.polkson.get_updates() == []
    assert (message.text, message.chat.type, message.chat.id) == ("Привет", "private", ANYA)
    assert (message.from_user.first_name, message.from_user.is_bot) == ("Аня", False)
    assert message.date.timestamp() == NOON
    sent = await message.as_(sandbox.avtobus).reply("Заходите")
    assert sent.message_id == message.message_id + 1
    assert sent.reply_to_message.text == "Привет"


async def test_a_long_poll_wakes_on_a_message(sandbox: Sandbox) -> None:
    polling = asyncio.create_task(sandbox.avtobus.get_updates(timeout=30))
    await sandbox.polled("avtobus")
    await sandbox.say("Эй", chat="avtobus")
    assert (await polling)[0].message


async def test_an_offset_confirms_and_forgets(sandbox: Sandbox) -> None:
    for text in "абв":
        await sandbox.say(text, chat="avtobus")
    first, second, third = await sandbox.avtobus.get_updates()
    assert second.update_id == first.update_id + 1
    assert await sandbox.avtobus.get_updates() == [first, second, third]
    assert await sandbox.avtobus.get_updates(offset=second.update_id, limit=1) == [second]
    assert await sandbox.avtobus.get_updates(offset=-1) == [third]
    assert await sandbox.avtobus.get_updates(offset=third.update_id + 1) == []
    assert await sandbox.avtobus.get_updates(offset=1) == []


async def test_of_two_pollers_the_earlier_gets_a_conflict(sandbox: Sandbox) -> None:
    polls = [asyncio.create_task(sandbox.avtobus.get_updates(timeout=30)) for _ in range(2)]
    done, (later,) = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(exceptions.TelegramConflictError, match="terminated by other getUpdates"):
        await done.pop()
    await sandbox.say("Эй", chat="avtobus")
    assert len(await later) == 1


async def test_unknown_methods_and_tokens_are_refused(untouched: Sandbox) -> None:
    with pytest.raises(exceptions.TelegramNotFound, match="no method sendPoll"):
        await untouched.avtobus.send_poll(ANYA, "?", ["а", "б"])
    stranger = bot(untouched.url, "1:x")
    with pytest.raises(exceptions.TelegramUnauthorizedError, match="Unauthorized"):
        await stranger.get_me()
    await closed(stranger)


async def test_bad_requests_are_worded_as_telegram_does(untouched: Sandbox) -> None:
    avtobus = untouched.avtobus
    for call, words in (
        (avtobus.send_message(5, "а"), "chat not found"),
        (avtobus.send_message("@nobody", "а"), "chat not found"),
        (untouched.send("<b>а</b>", parse_mode="HTML"), "unsupported parse_mode"),
        (untouched.send("а", reply_to_message_id=99), "message to be replied not found"),
        (avtobus.get_chat_member(GROUP_ID, 5), "user not found"),
        (avtobus.delete_message(GROUP_ID, 99), "message to delete not found"),
        (avtobus.edit_message_text("а", chat_id=GROUP_ID, message_id=99), "to edit not found"),
    ):
        await refused(call, words)


async def test_an_answer_to_a_missing_message_may_be_sent_all_the_same(sandbox: Sandbox) -> None:
    missing = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    assert (await sandbox.send("а", reply_parameters=missing)).reply_to_message is None


async def test_no_bot_writes_first_to_a_person(sandbox: Sandbox) -> None:
    with pytest.raises(exceptions.TelegramForbiddenError, match="can't initiate"):
        await sandbox.avtobus.send_message(ANYA, "рано")
    await sandbox.say("Привет", chat="avtobus")
    await sandbox.avtobus.send_message(ANYA, "Заходите")


async def test_every_kind_of_body_is_read(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/bot{TOKENS['avtobus']}/sendmessage"
    fields = {"chat_id": str(GROUP_ID), "text": "[1] а=б&в"}
    form = aiohttp.FormData(fields, default_to_multipart=True)
    for how in ({"data": fields}, {"data": form}, {"params": fields}):
        async with sandbox.http.post(url, **how) as answer:
            assert (await answer.json())["result"]["text"] == "[1] а=б&в"
    async with sandbox.http.get(url, params={"chat_id": "x"}) as answer:
        assert (await answer.json())["description"] == "Bad Request: message text is empty"
    async with sandbox.http.post(url, data={**fields, "reply_parameters": "{"}) as answer:
        assert (await answer.json())["description"] == "Bad Request: can't parse request"


async def test_menus_are_kept_by_scope_and_language_and_shown_to_whom_they_are_for(
    sandbox: Sandbox,
) -> None:
    bot, administrators = sandbox.avtobus, BotCommandScopeAllChatAdministrators()
    help_, settings = (BotCommand(command=name, description="да") for name in ("help", "settings"))
    async with sandbox.events() as events:
        await bot.set_my_commands([help_])
        assert await anext(events) == {"type": "commands", "bot": "avtobus"}
    await bot.set_my_commands([settings], scope=administrators, language_code="ru")
    assert [one.command for one in await bot.get_my_commands()] == ["help"]
    assert await bot.get_my_commands(scope=administrators) == []
    (kept,) = await bot.get_my_commands(scope=administrators, language_code="ru")
    assert (kept.command, kept.description) == ("settings", "да")
    shown = (await sandbox.get("/api/state"))["bots"][0]["commands"]
    names = {audience: [one["command"] for one in menu] for audience, menu in shown.items()}
    assert names == {"private": ["help"], "group": ["help"], "owner": ["settings"]}
    await bot.delete_my_commands(scope=administrators, language_code="ru")
    shown = (await sandbox.get("/api/state"))["bots"][0]["commands"]
    assert [one["command"] for one in shown["owner"]] == ["help"]
    await refused(bot.set_my_commands([help_], scope=BotCommandScopeChat(chat_id=1)), "scope chat")
