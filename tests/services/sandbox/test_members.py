"""Administrators: who they are, and that they may write in the group's name."""

from aiogram.types import ChatMemberAdministrator

from tests.services.sandbox.conftest import ANYA, GROUP_ID, Sandbox, heard

BORIS = ANYA + 1


async def test_a_person_is_promoted_and_demoted(sandbox: Sandbox) -> None:
    avtobus = sandbox.avtobus
    await sandbox.post("/admin/administrators", {"person": "Борис", "on": True})
    assert isinstance(await avtobus.get_chat_member(GROUP_ID, BORIS), ChatMemberAdministrator)
    await sandbox.say("Привет", chat="avtobus", person="Борис")
    assert (await avtobus.get_chat_member(BORIS, BORIS)).status == "member"
    answer = await sandbox.post("/admin/administrators", {"person": BORIS, "on": False})
    assert answer == {"administrators": []}
    assert (await avtobus.get_chat_member(GROUP_ID, BORIS)).status == "member"
    body = {"person": "Аня", "on": False}
    assert "creator" in await sandbox.refuses("/admin/administrators", body)


async def test_an_administrator_writes_in_the_name_of_the_group(sandbox: Sandbox) -> None:
    said = await sandbox.say("Правила чата", anonymous=True)
    (message,) = await heard(sandbox.avtobus)
    assert message.from_user
    assert message.sender_chat
    author = message.from_user
    assert (author.id, author.is_bot, author.username) == (1087968824, True, "GroupAnonymousBot")
    assert (said["from"], said["name"]) == (1087968824, "Group")
    assert message.sender_chat.id == message.chat.id == GROUP_ID
    await sandbox.say("И в новой теме", anonymous=True, thread=4)
    assert len(await heard(sandbox.polkson)) == 2


async def test_others_may_not_write_in_its_name(untouched: Sandbox) -> None:
    for chat, person in (("group", "Борис"), ("avtobus", "Аня")):
        body = {"chat": chat, "person": person, "text": "а", "anonymous": True}
        assert "not enough rights" in await untouched.refuses("/api/messages", body)
