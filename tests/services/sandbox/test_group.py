"""The group: its administrators, topics, privacy mode, and how it becomes a supergroup."""

from typing import Any

import pytest
from aiogram import exceptions

from tests.services.sandbox.conftest import (
    ANYA,
    AVTOBUS,
    GROUP_ID,
    Sandbox,
    received,
    refused,
    running,
)

BORIS = ANYA + 1
TOPIC = {"id": 4, "name": "Рейсы"}


async def status(sandbox: Sandbox, chat: int, user: int) -> str:
    return str((await sandbox.avtobus.get_chat_member(chat, user)).status)


async def test_members_of_the_group_and_of_a_private_chat(untouched: Sandbox) -> None:
    for chat, user, expected in (
        (GROUP_ID, ANYA, "creator"),
        (GROUP_ID, BORIS, "member"),
        (GROUP_ID, AVTOBUS, "member"),
        (ANYA, ANYA, "member"),
    ):
        assert await status(untouched, chat, user) == expected
    await refused(untouched.avtobus.get_chat_member(ANYA, BORIS), "user not found")


async def test_a_person_is_promoted_and_demoted(sandbox: Sandbox) -> None:
    await sandbox.post("/admin/administrators", {"person": "Борис", "on": True})
    assert await status(sandbox, GROUP_ID, BORIS) == "administrator"
    assert await status(sandbox, BORIS, BORIS) == "member"
    answer = await sandbox.post("/admin/administrators", {"person": BORIS, "on": False})
    assert answer == {"administrators": []}
    assert await status(sandbox, GROUP_ID, BORIS) == "member"
    await sandbox.refuses("/admin/administrators", {"person": "Аня", "on": False}, "creator")


async def test_an_administrator_writes_in_the_name_of_the_group(sandbox: Sandbox) -> None:
    said = await sandbox.say("Правила чата", anonymous=True)
    (message,) = await received(sandbox.avtobus)
    author = message.from_user
    assert (author.id, author.is_bot, author.username) == (1087968824, True, "GroupAnonymousBot")
    assert (said["from"], said["name"]) == (1087968824, "Group")
    assert message.sender_chat.id == message.chat.id == GROUP_ID
    await sandbox.say("И в новой теме", anonymous=True, thread=4)
    assert len(await received(sandbox.polkson)) == 2


async def test_in_a_group_all_hear_people_and_bots_hear_each_other(sandbox: Sandbox) -> None:
    said = await sandbox.say("Всем привет")
    sent = await sandbox.send("@polkson_bot, привет", reply_to_message_id=said["id"])
    assert [message.text for message in await received(sandbox.avtobus)] == ["Всем привет"]
    person, other = await received(sandbox.polkson)
    assert other.message_id == sent.message_id == person.message_id + 1
    assert other.from_user.is_bot
    assert other.entities[0].extract_from(other.text) == "@polkson_bot"
    assert other.reply_to_message.message_id == person.message_id


async def test_privacy_mode_lets_through_what_is_addressed() -> None:
    async with running(sandbox_privacy="polkson") as sandbox:
        assert not (await sandbox.polkson.get_me()).can_read_all_group_messages
        own = await sandbox.polkson.send_message(GROUP_ID, "Я тут")
        await sandbox.post("/admin/topics", TOPIC)
        await sandbox.say("мимо", thread=4)
        await sandbox.say("мимо", reply_to=(await sandbox.say("мимо"))["id"])
        await sandbox.say("/insanity@avtobus_bot мимо")
        await sandbox.send("мимо")
        await sandbox.say("", media="photo", caption="мимо")
        heard = ["/insanity", "/insanity@polkson_bot", "эй, @Polkson_Bot"]
        for text in heard:
            await sandbox.say(text)
        await sandbox.say("ответ", reply_to=own.message_id)
        await sandbox.send("@polkson_bot, а ты?")
        await sandbox.say("", media="photo", caption="@polkson_bot")
        await sandbox.say("просто слова", chat="polkson")
        root, *others = await received(sandbox.polkson)
    assert root.forum_topic_created
    texts = [message.text or message.caption for message in others]
    assert texts == [*heard, "ответ", "@polkson_bot, а ты?", "@polkson_bot", "просто слова"]


async def test_a_topic_begins_with_a_message_that_all_others_answer(sandbox: Sandbox) -> None:
    assert await sandbox.post("/admin/topics", TOPIC) == {"threads": [4]}
    first = await sandbox.say("Куда едем?", thread=4)
    await sandbox.say("На море", thread=4, reply_to=first["id"])
    root, said, answer = await received(sandbox.avtobus)
    assert (root.message_id, root.message_thread_id) == (4, 4)
    assert (root.forum_topic_created.name, root.text) == ("Рейсы", None)
    assert (said.message_thread_id, said.is_topic_message) == (4, True)
    assert said.reply_to_message.forum_topic_created == root.forum_topic_created
    assert first["reply_to"] is None  # the page does not show it as an answer
    assert answer.reply_to_message.message_id == said.message_id
    sent = await sandbox.send("Поехали", message_thread_id=4)
    assert (sent.message_thread_id, sent.reply_to_message.message_id) == (4, 4)
    assert sent.chat.is_forum
    assert (await sandbox.get("/api/state"))["messages"][0]["service"] == "forum_topic_created"


async def test_a_deleted_topic_is_gone_with_its_messages(sandbox: Sandbox) -> None:
    await sandbox.post("/admin/topics", TOPIC)
    await sandbox.say("в теме", thread=4)
    await sandbox.say("рядом")
    assert await sandbox.post("/admin/topics", {"id": 4}) == {"threads": []}
    words = "message thread not found"
    await refused(sandbox.send("а", message_thread_id=4), words)
    action = sandbox.avtobus.send_chat_action(GROUP_ID, "typing", message_thread_id=4)
    await refused(action, words)
    body = {"chat": "group", "person": "Аня", "text": "а", "thread": 4}
    await sandbox.refuses("/api/messages", body, words)
    assert [m["text"] for m in (await sandbox.get("/api/state"))["messages"]] == ["рядом"]


async def test_impossible_topics_are_refused(sandbox: Sandbox) -> None:
    said = await sandbox.say("а")
    for body, words in (
        ({**TOPIC, "id": 0}, "topics: id: "),
        ({**TOPIC, "name": ""}, "topics: name: "),
        ({**TOPIC, "id": said["id"]}, "message id is taken"),
        ({"id": 4}, "message thread not found"),
    ):
        await sandbox.refuses("/admin/topics", body, words)


async def test_a_supergroup_has_another_id_and_the_old_one_is_refused(sandbox: Sandbox) -> None:
    await sandbox.post("/admin/administrators", {"person": "Борис", "on": True})
    said = await sandbox.say("до")
    async with sandbox.events() as events:
        new = (await sandbox.post("/admin/migrate", {}))["chat"]
        shown: list[Any] = [await anext(events) for _ in range(3)]
    assert [event.get("service", event["type"]) for event in shown] == [
        "migrate_to_chat_id",
        "migrate_from_chat_id",
        "migrated",
    ]
    (message,) = (await sandbox.get("/api/state"))["messages"]
    assert (message["id"], message["service"]) == (1, "migrate_from_chat_id")
    await sandbox.say("после")
    before, last, first, after = await received(sandbox.avtobus)
    assert (last.chat.id, last.migrate_to_chat_id) == (before.chat.id, new) == (GROUP_ID, new)
    assert (last.chat.type, last.message_id) == ("group", said["id"] + 1)
    assert (first.chat.id, first.migrate_from_chat_id) == (new, GROUP_ID)
    assert (first.chat.type, first.message_id, after.message_id) == ("supergroup", 1, 2)
    assert after.chat.id == first.sender_chat.id == new
    for call in (sandbox.send("а"), sandbox.avtobus.send_chat_action(GROUP_ID, "typing")):
        with pytest.raises(exceptions.TelegramMigrateToChat) as raised:
            await call
        assert raised.value.migrate_to_chat_id == new
    assert (await sandbox.avtobus.send_message(new, "а")).chat.id == new
    assert await status(sandbox, new, BORIS) == "administrator"
