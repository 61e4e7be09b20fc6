"""Telegram does not answer the poll, or another polls: who waits, and what shows it."""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from services.gateway import polling
from services.gateway.bot_api import open_bot_api
from services.gateway.polling import ALIVE_SECONDS as ALIVE
from services.gateway.polling import FLOOR_SECONDS as FLOOR
from services.gateway.polling import READY_SECONDS
from tests.conftest import PATIENCE
from tests.services.gateway.conftest import World, settings_for
from tests.services.gateway.telegram import SELF, TOKEN, instead, of, private
from tests.services.sandbox.faults import Fault


@pytest.mark.parametrize(
    ("code", "outcome"), [(409, "conflict"), (500, "server"), (429, "limited")]
)
async def test_polling_backs_off_and_comes_back(world: World, code: int, outcome: str) -> None:
    more = {"retry_after": 40} if code == 429 else {}
    world.telegram.fault = of("getUpdates", code, "no", **more)
    async with world.gateway() as running:
        await world.counts("polls_total", outcome=outcome)
        await world.settle()
        assert running.metric("polls_total", outcome=outcome) == 1
        assert running.metric("last_successful_poll_timestamp_seconds") == 0
        world.telegram.fault = None
        world.telegram.put(private("эй"))
        await world.says("эхо: эй", step=1)


@pytest.mark.parametrize("method", ["setMyCommands", "deleteWebhook"])
@pytest.mark.parametrize(
    "fault",
    [
        lambda method: of(method, 429, retry_after=1128),
        lambda method: of(method, 500),
        lambda method: of(method, 400),
        lambda method: instead(method, "<html>"),
        lambda method: Fault(kind="hold", method=method),
    ],
    ids=["429", "500", "400", "unreadable", "no answer"],
)
async def test_nothing_cosmetic_stands_before_hearing_people(
    world: World, method: str, fault: Callable[[str], Fault]
) -> None:
    world.telegram.fault = fault(method)
    world.telegram.put(private("эй"))
    async with world.gateway():
        began = world.clock.now()
        await becomes(world, 200)
        await world.says("эхо: эй")
        assert world.clock.now() == began


async def test_what_is_cosmetic_is_tried_again_with_patience(world: World) -> None:
    world.telegram.fault = of("setMyCommands", 429, retry_after=1128)
    async with world.gateway():
        await world.wait_out(1128, lambda: world.telegram.menus)
        world.telegram.fault = None
        await world.until(lambda: len(world.telegram.menus) == 3)


async def test_a_webhook_that_somebody_left_silences_nobody(world: World) -> None:
    world.telegram.fault = of("getUpdates", 409, "can't use getUpdates while webhook is active")
    async with world.gateway():
        await world.until(lambda: "deleteWebhook" in world.telegram.calls)
        world.telegram.fault = None
        world.telegram.put(private("эй"))
        await world.says("эхо: эй", step=0.5)


async def test_a_server_that_holds_no_call_is_asked_twice_a_second_at_most(world: World) -> None:
    world.patch.setattr(polling, "FLOOR_SECONDS", FLOOR)

    def polls() -> int:
        return world.telegram.calls.count("getUpdates")

    async with world.gateway():
        await becomes(world, 200)
        for text in ("", "эй", "", "ты где", "ау"):
            await world.until(lambda: world.clock.sleeps(FLOOR))
            before = polls()
            world.telegram.put(*([private(text)] if text else []))
            await world.wait_out(FLOOR, polls)
            await world.until(lambda: world.clock.sleeps(FLOOR))
            assert (polls() - before) / FLOOR <= 2


async def test_polling_waits_as_long_as_it_is_told_to_and_is_alive(world: World) -> None:
    world.telegram.fault = of("getUpdates", 429, retry_after=3000)
    async with world.gateway():
        await world.until(lambda: world.clock.sleeps(3000))
        world.telegram.fault = None
        world.clock.advance(2999)
        await world.settle()
        assert await world.running.probe("healthz") == 200
        assert world.telegram.calls.count("getUpdates") == 1
        world.clock.advance(1)
        await world.until(lambda: world.telegram.calls.count("getUpdates") > 1)


async def test_failing_polls_are_a_sign_of_life(world: World) -> None:
    # no other pause ends with one of it
    world.patch.setattr(polling, "pause_after", lambda *_: 13.0)
    world.telegram.fault = of("getUpdates", 500)
    began = world.clock.now()
    async with world.gateway():
        while world.clock.now() - began <= 2 * ALIVE:
            await world.until(lambda: world.clock.sleeps(13))
            world.clock.advance(13)
        assert await world.running.probe("healthz") == 200


async def test_a_poll_that_never_returns_is_none(world: World) -> None:
    world.telegram.fault = Fault(kind="hold", method="getUpdates")
    async with world.gateway():
        await world.until(lambda: "getUpdates" in world.telegram.calls)
        world.clock.advance(ALIVE)
        assert await world.running.probe("healthz") == 503


async def test_a_clock_that_is_set_neither_kills_nor_hides(world: World) -> None:
    """Neither a loop that turns, nor one that does not."""
    async with world.gateway() as running:
        await world.until(lambda: "getUpdates" in world.telegram.calls)
        world.telegram.fault = Fault(kind="hold", method="getUpdates")
        world.clock.jump(86_400.0)
        assert await running.probe("healthz") == 200
        world.clock.jump(-2 * 86_400.0)
        world.clock.advance(ALIVE)
        assert await running.probe("healthz") == 503


async def becomes(world: World, status: int, step: float = 0.0) -> None:
    """Wait until /readyz answers so."""
    async with asyncio.timeout(PATIENCE):
        while await world.running.probe("readyz") != status:
            world.clock.advance(step)
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    ("code", "after"), [(409, 0.0), (500, READY_SECONDS), (429, READY_SECONDS)]
)
async def test_ready_is_who_hears_what_people_write(world: World, code: int, after: float) -> None:
    """A second process that polls shows at once, a network that fails after a while."""
    more = {"retry_after": 1} if code == 429 else {}
    async with world.gateway():
        await becomes(world, 200)
        world.telegram.fault = of("getUpdates", code, "no", **more)
        failing = world.clock.now()
        await becomes(world, 503, step=1)
        assert world.clock.now() - failing >= after
        world.telegram.fault = None
        await becomes(world, 200, step=1)


async def test_who_polls_beside_another_with_the_same_token_is_not_ready(
    world: World, tmp_path: Path
) -> None:
    async with world.gateway() as first:
        await becomes(world, 200)
        world.settings = world.settings.model_copy(update={"gateway_data_dir": tmp_path / "other"})
        async with world.gateway():
            conflicts = partial(first.metric, "polls_total", outcome="conflict")
            await world.until(lambda: conflicts() > 0, step=0.1)  # or the second is refused first
            assert await first.probe("readyz") == 503
        world.running = first
        await becomes(world, 200, step=1)


async def test_nobody_is_ready_before_a_poll_succeeded(world: World) -> None:
    world.telegram.fault = of("getUpdates", 409)
    async with world.gateway():
        await world.counts("polls_total", outcome="conflict")
        assert await world.running.probe("readyz") == 503
        world.telegram.fault = None
        await becomes(world, 200, step=1)


async def test_a_full_disk_is_not_called_telegrams_silence(world: World) -> None:
    def store_updates(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with world.patch.context() as full:
        full.setattr("services.gateway.store.inbox.store_updates", store_updates)
        async with world.gateway() as running:
            world.telegram.put(private("эй"))
            await world.until(lambda: running.metric("polls_total", outcome="disk") > 1, step=1)
            full.undo()
            await world.says("эхо: эй", step=1)


@pytest.mark.parametrize("method", ["getMe", "getUpdates"])
async def test_an_unknown_token_ends_the_process(world: World, method: str) -> None:
    world.telegram.fault = of(method, 401, "Unauthorized")
    running = await world.start()
    with pytest.raises(Refusal, match="TELEGRAM_TOKEN: Telegram knows no such bot") as refused:
        await running.ended
    assert TOKEN not in str(refused.value)


async def test_another_bots_token_ends_the_process_before_it_says_anything(world: World) -> None:
    async with world.gateway():
        await world.ask(private("эй"))
    world.telegram.fault = instead("getMe", {**SELF, "id": 99, "username": "polkson_bot"})
    running = await world.start()
    with pytest.raises(Refusal, match=r"is of @polkson_bot \(id 99\).* id 4242: give that"):
        await running.ended


async def test_an_unreachable_telegram_is_waited_for(world: World, closed_port: int) -> None:
    world.settings = settings_for(
        f"http://127.0.0.1:{closed_port}", world.generation.address, world.settings.gateway_data_dir
    )
    async with open_bot_api(world.settings) as world.api, world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="network") > 1, step=1)
        assert not running.ended.done()
