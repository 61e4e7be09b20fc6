"""Held in check: silence, deny list and budget hold for every kind of answer to talk."""

import asyncio

import pytest

from services.gateway.flow import Flow
from services.gateway.incoming import Message
from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.telegram import PHOTO, group, own, private


async def test_a_line_for_pictures_that_was_deleted_is_not_said_again(world: World) -> None:
    world.configure(wordless=("Слов не вижу.",))
    async with world.gateway():
        await world.ask(private("/delete", reply_to_message=own("Слов не вижу.")))
        world.telegram.put(private(None, **PHOTO))
        await world.counts("messages_failed_total", code="denied")
    assert world.telegram.texts() == [TEXTS.deleted]


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
        await world.ask(private("/forgetme"))
        may.set()
        await world.settle()
    assert world.telegram.texts() == [TEXTS.forgotten]
    assert "тайна".encode() not in world.settings.database.read_bytes()
