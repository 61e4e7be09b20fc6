"""Generation fails: who waits, who is told, and how often."""

import asyncio

import grpc
import pytest

from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import another_bot, group, private


async def test_without_generation_people_are_told_once_after_two_minutes(world: World) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    began = world.clock.now()
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.asks_generation()
        await world.until(lambda: world.clock.now() - began > 118, step=1)
        assert world.telegram.sent == []
        world.clock.advance(2)
        await world.counts("replies_total", outcome="unavailable")
        await world.says(TEXTS.unavailable)
        tried = len(world.generation.requests)
        world.clock.advance(300)
        await world.settle()
    assert len(world.generation.requests) == tried


async def test_an_outage_is_told_a_chat_once_and_to_no_bot(world: World) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        world.telegram.put(group("автобус", sender=another_bot()), private("эй"), private("ой"))
        await world.asks_generation(2)  # before time goes on, or the last alone is answered
        await world.counts("replies_total", 3, step=2, outcome="unavailable")
    assert world.telegram.texts() == [TEXTS.unavailable]


@pytest.mark.parametrize("seconds", [-7200, 7200])
async def test_a_clock_that_is_set_changes_nothing_about_the_two_minutes(
    world: World, seconds: float
) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        for chat in (7, 8):
            began = world.clock.monotonic()
            world.telegram.put(private("эй", chat))
            await world.asks_generation(len(world.generation.requests) + 1)
            world.clock.jump(seconds)
            await world.counts("replies_total", chat - 6, step=1, outcome="unavailable")
            assert world.clock.monotonic() - began == pytest.approx(120, abs=10)
            world.clock.advance(300)
    assert world.telegram.texts() == [TEXTS.unavailable] * 2


async def test_patience_is_whole_again_after_an_outage(world: World) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.says(TEXTS.unavailable, step=1)
        world.clock.advance(300)
        world.telegram.put(private("ты тут?"))
        await world.asks_generation(len(world.generation.requests) + 2, step=0.5)
        world.generation.code = None
        await world.says(TEXTS.unavailable, "эхо: ты тут?", step=0.5)


async def test_an_outage_costs_nobody_an_answer_of_the_hour(world: World) -> None:
    world.configure(hourly_limit=1)
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        for number, text in enumerate(["эй", "алло"], 1):  # the second is told nothing
            world.telegram.put(private(text))
            await world.counts("replies_total", number, step=1, outcome="unavailable")
        world.generation.code = None
        world.telegram.put(private("ты тут?"))
        await world.says(TEXTS.unavailable, "эхо: ты тут?")


async def test_a_repeat_is_said_where_the_next_draw_fails_and_counted_as_that(world: World) -> None:
    world.generation.candidates = [candidate("едем в депо, мест нет")]
    async with world.gateway() as running:
        await world.ask(private("эй"))
        world.generation.hold = asyncio.Event()
        world.telegram.put(private("и?"))
        await world.asks_generation(2)
        world.generation.fails_after = 2
        world.generation.hold.set()
        await world.says(*["едем в депо, мест нет"] * 2, step=1)
        outcomes = {
            outcome: running.metric("replies_total", outcome=outcome)
            for outcome in ("candidate", "repeat", "unavailable")
        }
    assert outcomes == {"candidate": 1, "repeat": 1, "unavailable": 0}


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "DEADLINE_EXCEEDED"])
async def test_generation_that_comes_back_answers(world: World, code: str) -> None:
    world.generation.code = grpc.StatusCode[code]
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.asks_generation(3, step=0.5)
        world.generation.code = None
        await world.says("эхо: эй", step=0.5)
        assert running.metric("generation_retries_total", code=code) >= 2


async def test_a_refused_request_is_not_repeated(world: World) -> None:
    world.generation.code = grpc.StatusCode.INVALID_ARGUMENT
    async with world.gateway():
        await world.ask(private("эй"))
    assert len(world.generation.requests) == 1
