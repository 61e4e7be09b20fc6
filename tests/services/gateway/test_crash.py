"""Killed anywhere, a restart finishes the work, once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.outbox_store import OutboxStore
from services.gateway.store import Store
from services.gateway.turn_store import TurnStore
from tests.services.gateway.conftest import World, candidate
from tests.services.gateway.telegram import group, private

STEPS: list[tuple[type, str]] = [
    (Store, "offset"),
    (Store, "take"),
    (Store, "begin"),
    (TurnStore, "view"),
    (TurnStore, "remember"),
    (TurnStore, "recall"),
    (Store, "settle"),
    (OutboxStore, "first"),
    (OutboxStore, "sending"),
    (OutboxStore, "sent"),
]
_IDS = [name for _, name in STEPS]


def _stop_at(
    patch: pytest.MonkeyPatch, owner: type, name: str, before: bool
) -> tuple[asyncio.Event, Callable[[], bool]]:
    """Make the step hang for ever, before or after its work; tells when it got there."""
    real: Any = getattr(owner, name)
    armed, reached = asyncio.Event(), asyncio.Event()

    async def hang(*args: Any, **kwargs: Any) -> Any:
        if not armed.is_set():
            return await real(*args, **kwargs)
        if not before:
            await real(*args, **kwargs)
        reached.set()
        return await asyncio.Event().wait()

    patch.setattr(owner, name, hang)
    return armed, reached.is_set


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS, ids=_IDS)
async def test_killed_at_a_step_nothing_is_lost_and_all_is_sent_once(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, before: bool
) -> None:
    world.generation.candidates = [candidate("раз", "два")]
    with monkeypatch.context() as patch:
        armed, reached = _stop_at(patch, owner, name, before)
        armed.set()
        running = await world.start()
        world.telegram.put(private("считай"))
        await world.until(reached)
        await running.kill()
    running = await world.start()
    await world.until(lambda: world.telegram.texts()[-1:] == ["два"])
    await world.settle()
    doubled = int(running.metric("messages_maybe_doubled_total"))
    await running.kill()
    if (name, before) == ("sent", True):
        assert world.telegram.texts() == ["раз", "раз", "два"]
    else:
        assert world.telegram.texts() == ["раз", "два"]
    in_sending = (name, before) in {("sending", False), ("sent", True)}
    assert doubled == int(in_sending)


async def test_an_answer_once_committed_is_never_generated_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        armed, reached = _stop_at(patch, Store, "settle", before=False)
        armed.set()
        running = await world.start()
        world.telegram.put(private("раз"))
        await world.until(reached)
        await running.kill()
    async with world.gateway():
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert len(world.generation.requests) == 1


async def test_insanity_is_switched_once_though_killed_in_between(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.telegram.administrators = {7}
    with monkeypatch.context() as patch:
        armed, reached = _stop_at(patch, Store, "settle", before=True)
        armed.set()
        running = await world.start()
        world.telegram.put(group("/insanity"))
        await world.until(reached)
        await running.kill()
    async with world.gateway():
        world.telegram.put(group("безумствуем"))
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == [world.config.insanity_on, "эхо: безумствуем"]


async def test_an_update_is_on_disk_before_its_offset_is_confirmed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.telegram.put(private("важное"))
    number = world.telegram.updates[0]["update_id"]
    with monkeypatch.context() as patch:
        armed, reached = _stop_at(patch, Store, "take", before=True)
        armed.set()
        running = await world.start()
        await world.until(reached)
        await world.settle()
        assert number + 1 not in world.telegram.offsets
        assert len(world.telegram.updates) == 1
        await running.kill()


async def test_an_update_delivered_twice_is_answered_once(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        [update] = world.telegram.updates
        await world.until(lambda: running.metric("messages_sent_total") == 1)
        world.telegram.updates.append(update)
        world.telegram.put(private("ой"))
        await world.until(lambda: running.metric("messages_sent_total") == 2)
        await world.settle()
    assert world.telegram.texts() == ["эхо: эй", "эхо: ой"]


async def test_sigterm_finishes_what_is_in_hand_and_leaves_the_rest(world: World) -> None:
    world.generation.hold = asyncio.Event()
    running = await world.start()
    await world.talk(private("первое"), private("второе"))
    await world.until(lambda: len(world.generation.requests) == 1)
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
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == ["эхо: первое", "эхо: второе"]
