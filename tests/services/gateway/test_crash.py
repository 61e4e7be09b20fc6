"""Killed anywhere, a restart finishes the work, once."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from services.gateway.flow import Flow
from services.gateway.sender import Sender
from services.gateway.store.database import Database
from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import group, own, private

TRANSACTIONS = 16
"""That a start and a message with an answer of two lines take, or a few more."""
DELETE = group("/delete", reply_to_message=own("едем в депо"))


async def hang(reached: asyncio.Event) -> None:
    reached.set()
    await asyncio.Event().wait()


def stop_at(patch: pytest.MonkeyPatch, number: int, before: bool) -> Callable[[], bool]:
    """Make the transaction with that number hang for ever, before it begins or after it ended."""
    real, begun, reached = Database.transaction, iter(range(1000)), asyncio.Event()

    @asynccontextmanager
    async def transaction(self: Database, flush: bool = False) -> AsyncIterator[sqlite3.Connection]:
        is_it = next(begun) == number
        if is_it and before:
            await hang(reached)
        async with real(self, flush) as db:
            yield db
        if is_it:
            await hang(reached)

    patch.setattr(Database, "transaction", transaction)
    return reached.is_set


async def kill_at_commit(world: World, before: bool, **update: Any) -> None:
    """Kill a gateway before or after it commits the answer to an update, with no call made yet."""
    real, reached = Flow._plan, asyncio.Event()

    async def plan(*args: Any) -> None:
        if not before:
            await real(*args)
        await hang(reached)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flow, "_plan", plan)
        patch.setattr(Sender, "wake", lambda *_: None)
        running = await world.start()
        world.telegram.put_raw(**update)
        await world.until(reached.is_set)
        await running.kill()


def being_sent(world: World) -> list[str]:
    with closing(sqlite3.connect(world.settings.database)) as database:
        rows = database.execute("SELECT text FROM outbox WHERE state = 'sending'")
        return [text for (text,) in rows]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", range(TRANSACTIONS))
async def test_killed_anywhere_all_is_sent_once(world: World, number: int, before: bool) -> None:
    world.generation.candidates = [candidate("раз", "два")]
    with world.patch.context() as patch:
        running = await world.start()
        reached = stop_at(patch, number, before)
        world.telegram.put(private("считай"))
        await world.until(reached)
        await running.kill()
    unsure = being_sent(world)
    twice = [text for text in unsure if text in world.telegram.texts()]
    running = await world.start()
    await world.until(lambda: len(world.telegram.texts()) >= 2 + len(twice))
    await world.settle()
    assert world.telegram.texts() == sorted(["раз", "два", *twice], reverse=True)
    assert running.metric("messages_maybe_doubled_total") == len(unsure)
    await running.kill()


UPDATES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("answer", {"message": private("раз")}, ["sendMessage"], ["эхо: раз"]),
    ("switch", {"message": group("/insanity")}, ["sendMessage"], [TEXTS.insanity_on]),
]  # fmt: skip


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@cases("update, methods, texts", UPDATES)
async def test_calls_are_made_once_and_after_the_commit_though_killed_in_between(
    world: World, update: dict[str, Any], methods: list[str], texts: list[str], before: bool
) -> None:
    """What was committed is neither generated nor switched again."""
    world.telegram.administrators.add(7)
    await kill_at_commit(world, before, **update)
    assert not set(methods) & set(world.telegram.calls)
    asked = len(world.generation.requests)
    async with world.gateway():
        await world.until(lambda: set(methods) <= set(world.telegram.calls))
        await world.counts("outbox_size", 0)
    assert [world.telegram.calls.count(method) for method in methods] == [1] * len(methods)
    assert world.telegram.texts() == texts
    assert len(world.generation.requests) == asked * (1 + before)


async def test_an_update_is_on_disk_before_its_offset_is_confirmed(world: World) -> None:
    reached = asyncio.Event()
    with world.patch.context() as patch:
        running = await world.start()
        await world.until(lambda: bool(world.telegram.offsets))
        patch.setattr("services.gateway.store.database._uncancelled", lambda *_: hang(reached))
        world.telegram.put(private("важное"))
        number = world.telegram.updates[0]["update_id"]
        await world.until(reached.is_set)
        await world.settle()
        assert number + 1 not in world.telegram.offsets
        assert len(world.telegram.updates) == 1
        await running.kill()


async def test_an_update_delivered_twice_is_answered_once(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("эй"))
        [update] = world.telegram.updates
        await world.counts("messages_sent_total")
        world.telegram.updates.append(update)
        await world.ask(private("ой"))
        await world.settle()
    await world.says("эхо: эй", "эхо: ой")


async def test_sigterm_finishes_what_is_in_hand_and_leaves_the_rest(world: World) -> None:
    world.generation.hold = asyncio.Event()
    running = await world.start()
    await world.talk(private("первое"), private("второе"))
    await world.asks_generation()
    running.stop.set()
    await world.settle()
    assert not running.ended.done()
    world.generation.hold.set()
    await running.ended
    assert world.telegram.texts() == ["эхо: первое"]
    polls = world.telegram.calls.count("getUpdates")
    await world.settle()
    assert world.telegram.calls.count("getUpdates") == polls
    async with world.gateway():
        await world.says("эхо: первое", "эхо: второе")
