"""The group becomes a supergroup: another id, other message ids, and the old id is refused."""

import pytest
from aiogram import exceptions

from tests.services.sandbox.conftest import ANYA, GROUP_ID, Sandbox, heard


async def test_both_chats_tell_of_the_migration(sandbox: Sandbox) -> None:
    said = await sandbox.say("до")
    new = (await sandbox.post("/admin/migrate", {}))["chat"]
    await sandbox.say("после")
    before, last, first, after = await heard(sandbox.avtobus)
    assert (last.chat.id, last.migrate_to_chat_id) == (before.chat.id, new) == (GROUP_ID, new)
    assert (last.chat.type, last.message_id) == ("group", said["id"] + 1)
    assert (first.chat.id, first.migrate_from_chat_id) == (new, GROUP_ID)
    assert (first.chat.type, first.message_id, after.message_id) == ("supergroup", 1, 2)
    assert after.chat.id == new
    assert first.sender_chat
    assert first.sender_chat.id == new


async def test_the_old_id_is_refused_with_the_new_one(sandbox: Sandbox) -> None:
    await sandbox.post("/admin/administrators", {"person": "Борис", "on": True})
    new = (await sandbox.post("/admin/migrate", {}))["chat"]
    for call in (
        sandbox.avtobus.send_message(GROUP_ID, "а"),
        sandbox.avtobus.send_chat_action(GROUP_ID, "typing"),
    ):
        with pytest.raises(exceptions.TelegramMigrateToChat) as raised:
            await call
        assert raised.value.migrate_to_chat_id == new
    assert (await sandbox.avtobus.send_message(new, "а")).chat.id == new
    assert (await sandbox.avtobus.get_chat_member(new, ANYA + 1)).status == "administrator"


async def test_the_page_is_told_and_shows_the_new_chat(sandbox: Sandbox) -> None:
    await sandbox.say("до")
    async with sandbox.events() as events:
        await sandbox.post("/admin/migrate", {})
        told = [await anext(events) for _ in range(3)]
    assert [event.get("service", event["type"]) for event in told] == [
        "migrate_to_chat_id",
        "migrate_from_chat_id",
        "migrated",
    ]
    (message,) = (await sandbox.get("/api/state"))["messages"]
    assert (message["id"], message["service"]) == (1, "migrate_from_chat_id")
