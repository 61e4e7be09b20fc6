"""Why the bot spoke or kept quiet, as it tells a server that has a method for it."""

from typing import Any

from protos.generation.v1 import generation_pb2 as pb
from services.gateway.explanations import MOST_KEPT, Explanations
from tests.services.gateway.conftest import World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import FIRST_SENT, group, of, private

CHAT = group("")["chat"]["id"]


def explain(world: World) -> None:
    world.settings = world.settings.model_copy(update={"explain_answers": True})


async def told(world: World, message_id: int, chat: int = CHAT) -> dict[str, Any]:
    """Wait until the bot has told of a message."""
    rooms = world.telegram.world.open_rooms
    await world.until(lambda: chat in rooms and message_id in rooms[chat].explanations)
    why: dict[str, Any] = rooms[chat].explanations[message_id]["avtobus"]
    return why


async def test_an_answer_is_told_with_what_generation_was_asked_and_said(world: World) -> None:
    explain(world)
    blocked = candidate(action=pb.MODERATION_ACTION_BLOCKED)
    blocked.moderation.category = "insult"
    world.generation.candidates = [blocked, candidate("скоро")]
    message = group("Автобус, едем?")
    async with world.gateway():
        await world.ask(message)
        why = await told(world, FIRST_SENT)
        assert (await told(world, message["message_id"]))["reason"] == "name"
    assert why["reason"] == "name"
    assert [turn["messages"] for turn in why["turns"]] == [["Автобус, едем?"]]
    [draw] = why["draws"]
    assert draw["model_version"] == "toy/1"
    assert draw["candidates"][0]["moderation"] == {
        "action": "MODERATION_ACTION_BLOCKED",
        "category": "insult",
    }
    assert draw["candidates"][1]["messages"] == ["скоро"]


async def test_why_it_kept_quiet_is_told(world: World) -> None:
    explain(world)
    message = group("а я нет")
    async with world.gateway():
        await world.talk(message)
        why = await told(world, message["message_id"])
    assert why == {"reason": "not_addressed", "turns": [], "draws": []}


async def test_nothing_is_told_unless_it_is_wanted(world: World) -> None:
    async with world.gateway():
        await world.ask(private("эй"))
    assert "explain" not in [call.method for call in world.telegram.received]


async def test_a_server_without_the_method_is_in_nobodys_way(world: World) -> None:
    explain(world)
    world.telegram.fault = of("explain", 404)
    async with world.gateway():
        assert await world.ask(private("эй"), private("ой")) == ["эхо: эй", "эхо: ой"]


async def test_no_more_than_the_newest_are_kept_and_none_of_who_is_forgotten(
    world: World,
) -> None:
    explanations = Explanations(world.api, is_wanted=True)
    for update_id in range(MOST_KEPT + 1):
        explanations.note(update_id, chat_id=7, message_id=update_id, reason="private")
    await explanations.tell(0)
    await explanations.tell(1)
    explanations.forget()
    await explanations.tell(2)
    assert list(world.telegram.world.open_rooms[7].explanations) == [1]
