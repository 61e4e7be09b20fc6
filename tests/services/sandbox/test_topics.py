"""Topics: they begin with a message that says so, and when deleted they refuse messages."""

import pytest
from aiogram import exceptions

from tests.services.sandbox.conftest import GROUP_ID, Sandbox, heard, running


async def test_a_topic_begins_with_a_message_that_all_others_answer(sandbox: Sandbox) -> None:
    assert await sandbox.post("/admin/topics", {"id": 4, "name": "Рейсы"}) == {"threads": [4]}
    first = await sandbox.say("Куда едем?", thread=4)
    await sandbox.say("На море", thread=4, reply_to=first["id"])
    root, said, answer = await heard(sandbox.avtobus)
    assert root.forum_topic_created
    assert (root.message_id, root.message_thread_id) == (4, 4)
    assert (root.forum_topic_created.name, root.text) == ("Рейсы", None)
    assert said.reply_to_message
    assert said.reply_to_message.forum_topic_created == root.forum_topic_created
    assert first["reply_to"] is None  # the page does not show it as an answer
    assert answer.reply_to_message
    assert answer.reply_to_message.message_id == said.message_id
    sent = await sandbox.avtobus.send_message(GROUP_ID, "Поехали", message_thread_id=4)
    assert sent.reply_to_message
    assert sent.reply_to_message.message_id == 4
    assert sent.chat.is_forum
    assert (await sandbox.get("/api/state"))["messages"][0]["service"] == "forum_topic_created"


async def test_a_deleted_topic_is_gone_with_its_messages(sandbox: Sandbox) -> None:
    await sandbox.post("/admin/topics", {"id": 4, "name": "Рейсы"})
    await sandbox.say("в теме", thread=4)
    await sandbox.say("рядом")
    assert await sandbox.post("/admin/topics", {"id": 4}) == {"threads": []}
    for call in (
        sandbox.avtobus.send_message(GROUP_ID, "а", message_thread_id=4),
        sandbox.avtobus.send_chat_action(GROUP_ID, "typing", message_thread_id=4),
    ):
        with pytest.raises(exceptions.TelegramBadRequest, match="message thread not found"):
            await call
    body = {"chat": "group", "person": "Аня", "text": "а", "thread": 4}
    assert "message thread not found" in await sandbox.refuses("/api/messages", body)
    assert [m["text"] for m in (await sandbox.get("/api/state"))["messages"]] == ["рядом"]


async def test_impossible_topics_are_refused(sandbox: Sandbox) -> None:
    said = await sandbox.say("а")
    for body, words in (
        ({"id": 0, "name": "Рейсы"}, "topics: id: "),
        ({"id": 4, "name": ""}, "topics: name: "),
        ({"id": said["id"], "name": "Рейсы"}, "message id is taken"),
        ({"id": 4}, "message thread not found"),
    ):
        assert words in await sandbox.refuses("/admin/topics", body)


async def test_service_messages_reach_bots_in_privacy_mode() -> None:
    async with running(sandbox_privacy="polkson") as sandbox:
        await sandbox.post("/admin/topics", {"id": 4, "name": "Рейсы"})
        await sandbox.say("мимо", thread=4)
        assert [m.message_id for m in await heard(sandbox.polkson)] == [4]
