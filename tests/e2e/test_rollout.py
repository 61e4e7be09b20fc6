"""A rollout as Kubernetes does it: gateways one after another, generation beside the old one."""

import asyncio
from collections import Counter

import pytest

from services.generation.client import GenerationClient, turn
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.gateway.conftest import World, servers, world  # noqa: F401 (fixtures)
from tests.services.gateway.telegram import private
from tests.services.generation.conftest import running

CHATS = 32
"""So many that each of two replicas has some."""


@pytest.mark.usefixtures("servers")
async def test_a_rollout_of_a_gateway_loses_and_doubles_nothing(
    world: World,  # noqa: F811
) -> None:
    written = [f"сообщение {number}" for number in range(40)]
    for first in range(0, len(written), 10):
        async with world.gateway():  # ended by SIGTERM at the end, whatever is in hand
            for number, text in enumerate(written[first : first + 10]):
                world.telegram.put(private(text, 100 + number))
            await world.until(lambda: bool(world.telegram.sent))
    async with world.gateway():
        answers = Counter(f"эхо: {text}" for text in written)
        await world.until(lambda: len(world.telegram.sent) >= len(written), step=0.1)
    assert Counter(each["text"] for each in world.telegram.sent) == answers


async def test_a_rollout_of_generation_fails_no_request(toy: Toy) -> None:
    folders = toy.bots_dir, toy.models_dir
    async with running(*folders) as old, running(*folders) as new:
        both = f"ipv4:{old.address},{new.address}"
        answered = Counter[int]()

        async def chat(key: int) -> None:
            async with GenerationClient(both) as client:
                for _ in range(4):
                    await client.generate(BOT, [turn("Привет")], chat_key=f"{key}")
                    answered[key] += 1

        chats = [asyncio.create_task(chat(key)) for key in range(CHATS)]
        async with asyncio.timeout(PATIENCE):
            while answered.total() < CHATS:  # noqa: ASYNC110 (others count)
                await asyncio.sleep(0.01)
            old.stop.set()
            await asyncio.gather(*chats, old.ended)
        for replica in (old, new):
            assert replica.metric("requests_total", bot=BOT, code="OK") > 0
