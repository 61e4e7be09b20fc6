"""Held in check: silence, deny list and budget hold for every kind of answer to talk."""

import asyncio

import pytest

from services.gateway.turn_store import TurnStore
from tests.services.gateway.conftest import CONFIG, World
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
    assert world.telegram.texts() == [CONFIG.deleted]


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
    real, may = TurnStore.remember, asyncio.Event()

    async def remember(self: TurnStore, *args: object) -> None:
        await may.wait()
        await real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(TurnStore, "remember", remember)
    async with world.gateway() as running:
        world.telegram.put(group("автобус, тайна"))
        await world.until(lambda: running.metric("decisions_total", reason="name") == 1)
        world.telegram.put(private("/forgetme"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        may.set()
        await world.settle()
    assert world.telegram.texts() == [CONFIG.forgotten]
    assert "тайна".encode() not in world.settings.database.read_bytes()
