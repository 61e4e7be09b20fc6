"""Bots talk to the sandbox through aiogram as they would to Telegram."""

import asyncio

import aiohttp
import pytest
from aiogram import exceptions
from aiogram.types import ReplyParameters

from tests.services.sandbox.conftest import (
    ANYA,
    AVTOBUS,
    GROUP_ID,
    NOON,
    TOKENS,
    Sandbox,
    bot,
    closed,
    heard,
    running,
)


async def test_a_bot_knows_itself(untouched: Sandbox) -> None:
    me = await untouched.avtobus.get_me()
    assert (me.id, me.username, me.first_name) == (AVTOBUS, "avtobus_bot", "Avtobus")
    assert me.is_bot
    assert me.can_read_all_group_messages


async def test_a_private_message_reaches_that_bot_and_is_answered(sandbox: Sandbox) -> None:
    await sandbox.say("  Привет ", chat="avtobus")
    (message,) = await heard(sandbox.avtobus)
    assert await sandbox.polkson.get_updates() == []
    assert message.from_user
    assert (message.text, message.chat.type, message.chat.id) == ("Привет", "private", ANYA)
    assert (message.from_user.first_name, message.from_user.is_bot) == ("Аня", False)
    assert message.date.timestamp() == NOON
    sent = await message.as_(sandbox.avtobus).reply("Заходите")
    assert sent.message_id == message.message_id + 1
    assert sent.reply_to_message
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


async def test_allowed_updates_are_remembered(sandbox: Sandbox) -> None:
    await sandbox.avtobus.get_updates(allowed_updates=["my_chat_member"])
    await sandbox.say("не слышно", chat="avtobus")
    assert await sandbox.avtobus.get_updates() == []
    await sandbox.avtobus.get_updates(allowed_updates=[])
    await sandbox.say("слышно", chat="avtobus")
    assert len(await sandbox.avtobus.get_updates()) == 1


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


@pytest.mark.parametrize(
    ("text", "words"), [(" \n", "message text is empty"), ("🚌" * 2049, "message is too long")]
)
async def test_bad_texts_are_refused(untouched: Sandbox, text: str, words: str) -> None:
    with pytest.raises(exceptions.TelegramBadRequest, match=words):
        await untouched.avtobus.send_message(GROUP_ID, text)


async def test_a_text_of_just_the_longest_length_is_taken(sandbox: Sandbox) -> None:
    longest = "🚌" * 2048  # 4096 UTF-16 units
    assert (await sandbox.avtobus.send_message(GROUP_ID, longest)).text == longest


async def test_bad_requests_are_worded_as_telegram_does(untouched: Sandbox) -> None:
    avtobus = untouched.avtobus
    for call, words in (
        (avtobus.send_message(5, "а"), "chat not found"),
        (avtobus.send_message("@nobody", "а"), "chat not found"),
        (avtobus.send_message(GROUP_ID, "а", message_thread_id=9), "message thread not found"),
        (avtobus.send_message(GROUP_ID, "<b>а</b>", parse_mode="HTML"), "unsupported parse_mode"),
        (
            avtobus.send_message(GROUP_ID, "а", reply_parameters=ReplyParameters(message_id=99)),
            "message to be replied not found",
        ),
        (avtobus.send_chat_action(GROUP_ID, "dance"), "wrong parameter action"),
        (avtobus.get_chat_member(GROUP_ID, 5), "user not found"),
        (avtobus.delete_message(GROUP_ID, 99), "message to delete not found"),
        (avtobus.edit_message_text("а", chat_id=GROUP_ID, message_id=99), "to edit not found"),
    ):
        with pytest.raises(exceptions.TelegramBadRequest, match=words):
            await call


async def test_an_answer_to_a_missing_message_may_be_sent_all_the_same(sandbox: Sandbox) -> None:
    missing = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    sent = await sandbox.avtobus.send_message(GROUP_ID, "а", reply_parameters=missing)
    assert sent.reply_to_message is None


async def test_a_topic_is_echoed(sandbox: Sandbox) -> None:
    await sandbox.say("в теме", thread=4)
    (message,) = await heard(sandbox.avtobus)
    assert (message.message_thread_id, message.is_topic_message) == (4, True)
    sent = await sandbox.avtobus.send_message(GROUP_ID, "и я", message_thread_id=4)
    assert sent.message_thread_id == 4


async def test_a_blocked_bot_is_told_and_forbidden(sandbox: Sandbox) -> None:
    with pytest.raises(exceptions.TelegramForbiddenError, match="can't initiate"):
        await sandbox.avtobus.send_message(ANYA, "рано")
    await sandbox.say("Привет", chat="avtobus")
    for chat, chat_id, words in (
        ("avtobus", ANYA, "blocked by the user"),
        ("group", GROUP_ID, "kicked from the supergroup"),
    ):
        body = {"bot": "avtobus", "chat": chat, "person": "Аня", "expelled": True}
        await sandbox.post("/admin/members", body)
        with pytest.raises(exceptions.TelegramForbiddenError, match=words):
            await sandbox.avtobus.send_message(chat_id, "а")
        await sandbox.say("не слышно", chat=chat)
        await sandbox.post("/admin/members", {**body, "expelled": False})
        await sandbox.avtobus.send_message(chat_id, "снова тут")
    updates = await sandbox.avtobus.get_updates()
    changes = [u.my_chat_member.new_chat_member.status for u in updates if u.my_chat_member]
    assert changes == ["kicked", "member", "kicked", "member"]
    assert sum(u.message is not None for u in updates) == 1


async def test_members_of_the_group_and_of_a_private_chat(untouched: Sandbox) -> None:
    for chat, user, status in (
        (GROUP_ID, ANYA, "creator"),
        (GROUP_ID, ANYA + 1, "member"),
        (GROUP_ID, AVTOBUS, "member"),
        (ANYA, ANYA, "member"),
    ):
        assert (await untouched.avtobus.get_chat_member(chat, user)).status == status
    with pytest.raises(exceptions.TelegramBadRequest, match="user not found"):
        await untouched.avtobus.get_chat_member(ANYA, ANYA + 1)


async def test_edits_and_deletions(sandbox: Sandbox) -> None:
    sent = await sandbox.avtobus.send_message(GROUP_ID, "раз")
    edited = await sent.edit_text("🚌 @polkson_bot")
    assert isinstance(edited, type(sent))
    assert (edited.text, edited.message_id) == ("🚌 @polkson_bot", sent.message_id)
    assert [entity.extract_from(edited.text or "") for entity in edited.entities or ()] == [
        "@polkson_bot"
    ]
    updates = await sandbox.polkson.get_updates()
    assert [u.event_type for u in updates] == ["message", "edited_message"]
    with pytest.raises(exceptions.TelegramBadRequest, match="not modified"):
        await sent.edit_text("🚌 @polkson_bot")
    for change in (
        sandbox.polkson.delete_message(GROUP_ID, sent.message_id),
        sandbox.polkson.edit_message_text("а", chat_id=GROUP_ID, message_id=sent.message_id),
    ):
        with pytest.raises(exceptions.TelegramBadRequest, match=r"can't be (deleted|edited)"):
            await change
    assert await sent.delete()
    assert (await sandbox.get("/api/state"))["messages"] == []


async def test_pending_updates_are_dropped_with_the_webhook(sandbox: Sandbox) -> None:
    await sandbox.say("а", chat="avtobus")
    assert await sandbox.avtobus.delete_webhook(drop_pending_updates=True)
    assert await sandbox.avtobus.get_updates() == []


async def test_every_kind_of_body_is_read(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/bot{TOKENS['avtobus']}/sendmessage"
    fields = {"chat_id": str(GROUP_ID), "text": "[1] а=б&в"}
    form = aiohttp.FormData(fields, default_to_multipart=True)
    for how in ({"json": fields}, {"data": fields}, {"data": form}, {"params": fields}):
        async with sandbox.http.post(url, **how) as answer:
            assert (await answer.json())["result"]["text"] == "[1] а=б&в"
    async with sandbox.http.get(url, params={"chat_id": "x"}) as answer:
        assert (await answer.json())["description"] == "Bad Request: message text is empty"
    headers = {"content-type": "application/json"}
    async with sandbox.http.post(url, data=b"{", headers=headers) as answer:
        assert (await answer.json())["description"] == "Bad Request: can't parse request"


async def test_in_a_group_all_hear_people_and_bots_hear_each_other(sandbox: Sandbox) -> None:
    said = await sandbox.say("Всем привет")
    sent = await sandbox.avtobus.send_message(
        GROUP_ID, "@polkson_bot, привет", reply_parameters=ReplyParameters(message_id=said["id"])
    )
    assert [message.text for message in await heard(sandbox.avtobus)] == ["Всем привет"]
    person, other = await heard(sandbox.polkson)
    assert other.message_id == sent.message_id == person.message_id + 1
    assert other.from_user
    assert other.from_user.is_bot
    assert other.entities
    assert other.entities[0].extract_from(other.text or "") == "@polkson_bot"
    assert other.reply_to_message
    assert other.reply_to_message.message_id == person.message_id


async def test_privacy_mode_lets_through_what_is_addressed() -> None:
    async with running(sandbox_privacy="polkson") as sandbox:
        assert not (await sandbox.polkson.get_me()).can_read_all_group_messages
        own = await sandbox.polkson.send_message(GROUP_ID, "Я тут")
        await sandbox.say("мимо")
        await sandbox.say("мимо", reply_to=(await sandbox.say("мимо"))["id"])
        await sandbox.say("/insanity@avtobus_bot мимо")
        await sandbox.avtobus.send_message(GROUP_ID, "мимо")
        await sandbox.say("/insanity")
        await sandbox.say("/insanity@polkson_bot")
        await sandbox.say("эй, @Polkson_Bot")
        await sandbox.say("ответ", reply_to=own.message_id)
        await sandbox.avtobus.send_message(GROUP_ID, "@polkson_bot, а ты?")
        texts = [message.text for message in await heard(sandbox.polkson)]
    assert texts == [
        "/insanity",
        "/insanity@polkson_bot",
        "эй, @Polkson_Bot",
        "ответ",
        "@polkson_bot, а ты?",
    ]


async def test_privacy_mode_is_for_groups() -> None:
    async with running(sandbox_privacy="polkson") as sandbox:
        await sandbox.say("просто слова", chat="polkson")
        assert len(await sandbox.polkson.get_updates()) == 1
