"""A chat of the page, exported: extraction reads it as it reads Telegram Desktop's."""

import json
from pathlib import Path

from extraction_jobs.messages import Found
from extraction_jobs.telegram_json import read
from tests.services.sandbox.conftest import ANYA, AVTOBUS, GROUP_ID, NOON, Sandbox


async def test_extraction_reads_the_messages_as_they_were(sandbox: Sandbox, tmp_path: Path) -> None:
    said = await sandbox.say("Привет 🚌 @avtobus_bot, едем?", person="Борис")
    await sandbox.say("/help")
    await sandbox.send("Едем\nвсе", reply_to_message_id=said["id"])
    file, found = tmp_path / "result.json", Found()
    exported = await sandbox.get("/api/export?chat=group&person=Аня")
    file.write_text(json.dumps(exported), encoding="utf-8")
    messages = list(read(file, found))
    assert [(m.sender_name, m.text, m.reply_to, m.is_command, m.at) for m in messages] == [
        ("Борис", "Привет 🚌 @avtobus_bot, едем?", None, False, NOON),
        ("Аня", "/help", None, True, NOON),
        ("Avtobus", "Едем\nвсе", said["id"], False, NOON),
    ]
    assert [m.sender for m in messages] == [f"user{ANYA + 1}", f"user{ANYA}", f"user{AVTOBUS}"]
    assert (messages[0].chat.name, messages[0].chat.key) == ("Общая комната", "1000000001")
    assert found.counts == {}
    assert int(f"-100{messages[0].chat.key}") == GROUP_ID


async def test_marked_parts_of_a_text_stand_as_telegram_writes_them(sandbox: Sandbox) -> None:
    await sandbox.say("🚌 @avtobus_bot!", chat="avtobus")
    exported = await sandbox.get("/api/export?chat=avtobus&person=Аня")
    assert (exported["name"], exported["type"], exported["id"]) == ("Avtobus", "bot_chat", AVTOBUS)
    [message] = exported["messages"]
    assert message["text"] == ["🚌 ", {"type": "mention", "text": "@avtobus_bot"}, "!"]
    assert message["date_unixtime"] == str(NOON)


async def test_people_can_read_the_file(sandbox: Sandbox) -> None:
    await sandbox.say("Привет")
    async with sandbox.http.get(f"{sandbox.url}/api/export?chat=group&person=Аня") as answer:
        assert '\n   "text": "Привет",\n' in await answer.text()
