"""The group: who is in it, and who hears whom."""

from services.sandbox.messenger import Messenger
from services.sandbox.rooms import Draft
from services.sandbox.server import account
from services.sandbox.world import World
from tests.services.sandbox.conftest import (
    ANYA,
    AVTOBUS,
    GROUP_ID,
    NOON,
    TOKENS,
    Sandbox,
    received,
    refused,
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


async def test_in_a_group_all_hear_people_and_bots_hear_each_other(sandbox: Sandbox) -> None:
    said = await sandbox.say("Всем привет")
    sent = await sandbox.send("@polkson_bot, привет", reply_to_message_id=said["id"])
    assert [message.text for message in await received(sandbox.avtobus)] == ["Всем привет"]
    person, other = await received(sandbox.polkson)
    assert other.message_id == sent.message_id == person.message_id + 1
    assert other.from_user.is_bot
    assert other.entities[0].extract_from(other.text) == "@polkson_bot"
    assert other.reply_to_message.message_id == person.message_id


async def test_a_bot_that_comes_later_is_in_the_group_until_it_leaves() -> None:
    world = World([account("avtobus", TOKENS["avtobus"])], first_id=5)
    messenger = Messenger(world, lambda: NOON)
    late = account("vasya", "1:a")
    messenger.add_bot(late)
    messenger.post(world.group, world.owner, Draft("Привет"))
    private = world.room_of_person("vasya", world.owner)
    messenger.post(private, world.owner, Draft("Привет"))
    [_, _] = await messenger.queues[late.token].poll(0, 100, 0)
    messenger.remove_bot(late)
    messenger.post(world.group, world.owner, Draft("Пока"))
    assert (list(world.bots), list(world.rooms)) == ([TOKENS["avtobus"]], ["group"])
    assert late.token not in messenger.queues
