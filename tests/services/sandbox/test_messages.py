"""What messages hold: texts and entities; what is edited; what is refused."""

from typing import Any

import pytest

from services.sandbox.messages import entities
from tests.services.sandbox.conftest import GROUP_ID, NOON, Sandbox, refused

ANSWER = {"chat": "group", "person": "Аня"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("привет", []),
        ("@avtobus_bot привет", [("mention", "@avtobus_bot")]),
        ("🚌 @avtobus_bot", [("mention", "@avtobus_bot")]),
        ("(@avtobus_bot), @abcd", [("mention", "@avtobus_bot"), ("mention", "@abcd")]),
        ("почта a@avtobus_bot", []),
        ("@ab коротко", []),
        ("@avtobus_botы", []),
        ("/start", [("bot_command", "/start")]),
        ("🚌 /a@avtobus_bot @abcd", [("bot_command", "/a@avtobus_bot"), ("mention", "@abcd")]),
        ("и/или", []),
        ("https://a.example/start", []),
        ("/старт", []),
        ("/ пусто", []),
    ],
)
def test_entities_are_found_and_cut_out_right(text: str, expected: list[tuple[str, str]]) -> None:
    found = entities(text)
    assert [(entity.type, entity.extract_from(text)) for entity in found] == expected


async def test_the_longest_text_is_taken_and_a_longer_one_or_none_refused(sandbox: Sandbox) -> None:
    longest = "🚌" * 2048  # 4096 UTF-16 units
    assert (await sandbox.send(longest)).text == longest
    await refused(sandbox.send(longest + "!"), "message is too long")
    await refused(sandbox.send(" \n"), "message text is empty")


async def test_a_person_edits_their_own_message(sandbox: Sandbox) -> None:
    said = await sandbox.say("раз")
    body = {**ANSWER, "message": said["id"], "text": "@avtobus_bot"}
    assert (await sandbox.post("/admin/edit", body))["text"] == "@avtobus_bot"
    first, second = await sandbox.avtobus.get_updates()
    assert (first.event_type, second.event_type) == ("message", "edited_message")
    edited: Any = second.edited_message
    assert (edited.message_id, edited.edit_date) == (said["id"], NOON)
    assert edited.entities
    for change, words in (
        ({}, "not modified"),
        ({"person": "Борис"}, "can't be edited"),
        ({"message": 5}, "message to edit not found"),
        ({"text": " "}, "text is empty"),
    ):
        await sandbox.refuses("/admin/edit", {**body, **change}, words)


async def test_a_bot_edits_and_deletes_its_own_messages_alone(sandbox: Sandbox) -> None:
    sent = await sandbox.send("раз")
    edited = await sent.edit_text("🚌 @polkson_bot")
    assert (edited.text, edited.message_id) == ("🚌 @polkson_bot", sent.message_id)
    assert [e.extract_from(edited.text) for e in edited.entities] == ["@polkson_bot"]
    updates = await sandbox.polkson.get_updates()
    assert [u.event_type for u in updates] == ["message", "edited_message"]
    number = sent.message_id
    for call, words in (
        (sent.edit_text("🚌 @polkson_bot"), "not modified"),
        (sandbox.polkson.delete_message(GROUP_ID, number), "can't be deleted"),
        (sandbox.polkson.edit_message_text("а", chat_id=GROUP_ID, message_id=number), "be edited"),
    ):
        await refused(call, words)
    assert await sent.delete()
    assert (await sandbox.get("/api/state"))["messages"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"text": " "}, "text is empty"),
        ({}, "text: is required"),
        ({"text": "а", "chat": "nobody"}, "chat not found"),
        ({"text": "а", "person": "Яна"}, "user not found"),
        ({"text": "а", "person": None}, "person.int: "),
        ({"text": "а", "reply_to": 9}, "replied not found"),
    ],
)
async def test_impossible_messages_are_refused_with_a_reason(
    untouched: Sandbox, body: dict[str, Any], words: str
) -> None:
    await untouched.refuses("/api/messages", {**ANSWER, **body}, words)
