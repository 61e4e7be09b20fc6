"""Telegram does not answer the poll, or another polls: who waits, and what shows it."""

import sqlite3

import pytest
from aiohttp import ClientSession

from services.gateway.bot_api import open_bot_api
from services.gateway.errors import TokenRefused
from services.gateway.polling import ALIVE_SECONDS as ALIVE
from services.sandbox.faults import Fault
from tests.services.gateway.conftest import World, settings_for
from tests.services.gateway.telegram import TOKEN, instead, of, private


@pytest.mark.parametrize(
    ("code", "outcome"), [(409, "conflict"), (500, "server"), (429, "limited")]
)
async def test_polling_backs_off_and_comes_back(world: World, code: int, outcome: str) -> None:
    more = {"retry_after": 40} if code == 429 else {}
    world.telegram.fault = of("getUpdates", code, "no", **more)
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome=outcome) == 1)
        await world.settle()
        assert running.metric("polls_total", outcome=outcome) == 1
        assert running.metric("last_successful_poll_timestamp_seconds") == 0
        world.telegram.fault = None
        world.telegram.put(private("эй"))
        await world.until(lambda: len(world.telegram.sent) == 1, step=1)


async def test_polling_waits_as_long_as_it_is_told_to(world: World) -> None:
    world.telegram.fault = of("getUpdates", 429, "no", retry_after=40)
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="limited") == 1)
        world.telegram.fault = None
        world.clock.advance(ALIVE / 2)  # it shows that it lives, and waits for the rest
        await world.until(lambda: world.clock.sleeps(40 - ALIVE / 2))
        world.clock.advance(39 - ALIVE / 2)
        await world.settle()
        assert world.telegram.calls.count("getUpdates") == 1
        world.clock.advance(1)
        await world.until(lambda: world.telegram.calls.count("getUpdates") > 1)


async def test_a_clock_set_back_makes_no_pause_of_polling_longer(world: World) -> None:
    world.telegram.fault = of("getUpdates", 429, "no", retry_after=20)
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="limited") == 1)
        await world.settle()
        world.telegram.fault = None
        world.clock.advance(-3600)
        world.clock.advance(20)
        await world.until(lambda: world.telegram.calls.count("getUpdates") > 1)


async def test_a_long_wait_for_polling_is_alive(world: World) -> None:
    world.telegram.fault = of("getUpdates", 429, "no", retry_after=3000)
    async with world.gateway() as running, ClientSession() as http:
        await world.until(lambda: running.metric("polls_total", outcome="limited") == 1)
        began = world.clock.now()
        await world.until(lambda: world.clock.now() - began > 3 * ALIVE, step=1)
        async with http.get(f"http://127.0.0.1:{running.port}/healthz") as answer:
            assert answer.status == 200
        assert world.telegram.calls.count("getUpdates") == 1


async def test_failing_polls_are_a_sign_of_life(world: World) -> None:
    world.telegram.fault = of("getUpdates", 500, "no")
    began = world.clock.now()
    async with world.gateway() as running, ClientSession() as http:
        for polls in range(1, 11):
            await world.until(
                lambda polls=polls: running.metric("polls_total", outcome="server") == polls  # type: ignore[misc]
            )
            world.clock.advance(15)  # the longest pause
        assert world.clock.now() - began > 2 * ALIVE
        async with http.get(f"http://127.0.0.1:{running.port}/healthz") as answer:
            assert answer.status == 200


async def test_a_poll_that_never_returns_is_none(world: World) -> None:
    world.telegram.fault = Fault(kind="hold", method="getUpdates")
    async with world.gateway() as running, ClientSession() as http:
        await world.until(lambda: "getUpdates" in world.telegram.calls)
        world.clock.advance(ALIVE)
        async with http.get(f"http://127.0.0.1:{running.port}/healthz") as answer:
            assert answer.status == 503


async def test_a_full_disk_is_not_called_telegrams_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def store_updates(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as full:
        full.setattr("services.gateway.store.inbox.store_updates", store_updates)
        async with world.gateway() as running:
            world.telegram.put(private("эй"))
            await world.until(lambda: running.metric("polls_total", outcome="disk") > 1, step=1)
            full.undo()
            await world.until(lambda: world.telegram.texts() == ["эхо: эй"], step=1)


async def test_a_server_that_knows_no_menus_is_served(world: World) -> None:
    world.telegram.fault = of("setMyCommands", 404, "Not Found")
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(lambda: len(world.telegram.sent) == 1)


@pytest.mark.parametrize("method", ["getMe", "getUpdates"])
async def test_a_token_that_telegram_does_not_know_ends_the_process(
    world: World, method: str
) -> None:
    world.telegram.fault = of(method, 401, "Unauthorized")
    running = await world.start()
    with pytest.raises(TokenRefused) as refused:
        await running.ended
    assert TOKEN not in str(refused.value)


async def test_another_bots_token_ends_the_process_before_it_says_anything(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("messages_sent_total") == 1)

    polkson = {"id": 99, "is_bot": True, "first_name": "Полка", "username": "polkson_bot"}
    world.telegram.fault = instead("getMe", polkson)
    running = await world.start()
    with pytest.raises(TokenRefused, match=r"is of @polkson_bot \(id 99\).* id 4242: give that"):
        await running.ended


async def test_an_unreachable_telegram_is_waited_for(world: World, closed_port: int) -> None:
    world.settings = settings_for(
        f"http://127.0.0.1:{closed_port}", world.generation.address, world.settings.gateway_data_dir
    )
    async with open_bot_api(world.settings) as world.api, world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="network") > 1, step=1)
        assert not running.ended.done()
