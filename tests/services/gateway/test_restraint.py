"""Held in check: silence, deny list and budget hold for every kind of answer to talk."""

import asyncio

import pytest

from services.gateway.flow import Flow
from services.gateway.incoming import Message
from tests.services.gateway.conftest import CONFIG, TEXTS, World
from tests.services.gateway.telegram import BOT_ID, USERNAME, group, person, private
from tests.services.gateway.test_manners import PHOTO, with_manners

SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}


async def test_a_line_for_pictures_that_was_deleted_is_not_said_again(world: World) -> None:
    world.config = CONFIG.model_copy(update={"wordless": ("Слов не вижу.",)})
    said = {**private("Слов не вижу."), "from": SELF}
    picture = {key: value for key, value in PHOTO.items() if key == "photo"}
    async with world.gateway() as running:
        world.telegram.put(private("/delete", reply_to_message=said))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(private(None, **picture))
        await world.until(lambda: running.metric("messages_failed_total", code="denied") == 1)
    assert world.telegram.texts() == [TEXTS.deleted]


async def test_bursts_that_nobody_asked_about_keep_to_the_budget(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0, budget=1)
    world.telegram.administrators = {7}
    async with world.gateway() as running:
        world.telegram.put(group("/insanity"))
        await world.until(lambda: len(world.telegram.sent) == 1, step=0.1)
        for number in range(3):
            sender = person(20 + number)
            world.telegram.put(group("раз", sender=sender), group("два", sender=sender))
        await world.until(lambda: running.metric("decisions_total", reason="budget") >= 2, step=0.1)
        await world.settle()
    assert world.telegram.texts()[1:] == ["эхо: два"]


async def test_who_is_forgotten_while_heard_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, reached, may = Flow._decide, asyncio.Event(), asyncio.Event()

    async def decide(self: Flow, update_id: int, message: Message) -> object:
        if message.chat < 0:
            reached.set()
            await may.wait()
        return await real(self, update_id, message)

    monkeypatch.setattr(Flow, "_decide", decide)
    async with world.gateway():
        world.telegram.put(group("автобус, тайна"))
        await world.until(reached.is_set)
        world.telegram.put(private("/forgetme"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        may.set()
        await world.settle()
    assert world.telegram.texts() == [TEXTS.forgotten]
    assert "тайна".encode() not in world.settings.database.read_bytes()
