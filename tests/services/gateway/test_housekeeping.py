"""What is done every minute, hour and day."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from contracts.clock import DAY, HOUR, MINUTE
from contracts.conversation import Conversation
from contracts.model_version import Serving
from services.gateway.context import Context, StoppingClock
from services.gateway.explanations import Explanations
from services.gateway.housekeeping import Housekeeping
from services.gateway.metrics import Metrics
from services.gateway.reasons import ChatSettings
from services.gateway.store import chats
from services.gateway.store.database import Database
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import group, private
from tests.services.gateway.test_database import write_damaged

Kept = tuple[Database, Metrics]
INSANE = ChatSettings(insane=True)


async def nobody() -> None:
    """Say whom the served version leaves out where none is served."""


@asynccontextmanager
async def keeping(world: World, looked_at: Path | None = None) -> AsyncIterator[Kept]:
    """Housekeeping on the world's database, or one that looks at another file for damage."""
    path, metrics = world.settings.database, Metrics(CollectorRegistry())
    database, clock = Database(path), StoppingClock(world.clock)
    known = world.config, world.api, database, clock, 1.0, metrics, path, Conversation()
    context = Context("avtobus", *known, Explanations(world.api, is_wanted=False))
    working = asyncio.create_task(Housekeeping(context, looked_at or path, nobody).run())
    yield database, metrics
    clock.stop()
    await asyncio.gather(working, return_exceptions=True)
    database.close()


async def test_insane_chats_are_counted_every_minute(world: World) -> None:
    async with world.gateway():
        await world.counts("insane_chats", 0)
        world.telegram.administrators.add(7)
        await world.ask(group("/insanity"))
        await world.counts("insane_chats", 1, step=MINUTE)


async def test_a_chat_that_moved_counts_once_and_a_topic_for_itself(world: World) -> None:
    async with keeping(world) as (database, _), database.transaction() as db:
        for chat, topic, wanted in ((-5, 0, INSANE), (-6, 33, INSANE), (-7, 0, ChatSettings())):
            chats.set_settings(db, chat, topic, wanted)
        chats.migrate(db, -5, -1005)
        chats.migrate(db, -1005, -1005)
        chats.opt_out(db, True)
        assert chats.count_insane(db) == 2


async def test_damage_is_found_within_a_day_and_told(world: World, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    await write_damaged(damaged)
    with capture_logs() as logged:
        async with keeping(world, damaged) as (_, metrics):
            metrics.intact.set(1)
            began = world.clock.now()
            await world.until(lambda: value(metrics, "database_intact") == 0, step=HOUR)
    assert world.clock.now() - began >= DAY
    [entry] = [each for each in logged if each["log_level"] == "error"]
    assert "damaged" in entry["event"]


async def test_a_database_in_use_is_checked_beside_its_user(world: World) -> None:
    async with keeping(world) as (_, metrics):
        await world.until(lambda: value(metrics, "database_intact") == 1, step=DAY)


async def test_what_fails_is_tried_again(world: World) -> None:
    failed = []

    def prune(_db: object, now: float, _days: int) -> None:
        failed.append(now)
        raise OSError

    world.patch.setattr("services.gateway.store.history.prune", prune)
    async with keeping(world):
        await world.until(lambda: len(failed) == 2, step=HOUR)


def value(metrics: Metrics, name: str) -> float | None:
    return metrics._registry.get_sample_value(f"persona_gateway_{name}")


async def test_who_waits_for_a_version_without_them_is_told_by_a_metric(world: World) -> None:
    """Whatever generation does not tell leaves it as it is."""
    name = "forget_waiting_since_timestamp_seconds"
    async with world.gateway() as running:
        await world.ask(private("/forgetme"))
        asked = world.clock.now()
        await world.counts(name, asked, step=HOUR)
        world.generation.code = grpc.StatusCode.UNAVAILABLE
        await world.until(lambda: world.clock.now() > asked + DAY, step=HOUR)
        assert running.metric(name) == asked
        world.generation.code, world.generation.forgets_until = None, asked
        await world.counts(name, 0, step=HOUR)
        file = world.settings.forget_dir
        noted = Serving.read(file / "serving.json" if file else Path())
        assert noted.version == "toy/1"
        assert asked - DAY < noted.at <= world.clock.now()


async def stored(world: World, which: str = "1") -> int:
    with closing(sqlite3.connect(world.settings.database)) as database:
        query = f"SELECT count(*) FROM turns WHERE {which}"  # noqa: S608
        return int(database.execute(query).fetchone()[0])


@pytest.mark.parametrize("is_running", [True, False], ids=["in its midst", "before the start"])
async def test_a_clock_set_a_year_forward_deletes_nothing(world: World, is_running: bool) -> None:
    async with world.gateway():
        await world.ask(private("эй", date=world.clock.now()))
        if is_running:
            world.clock.jump(365 * DAY)
            await pass_hours(world, 20)
            assert await stored(world) == 2
    world.clock.jump(365 * DAY)
    async with world.gateway():
        await world.rests()
        assert await stored(world) == 2


async def test_where_a_clock_stays_wrong_what_is_old_by_telegrams_time_goes(world: World) -> None:
    ahead = 400 * DAY
    world.clock.jump(ahead)
    async with world.gateway():
        await world.rests()
        for messages in (1, 2):
            await world.ask(private("эй", date=world.clock.now() - ahead))
            await pass_hours(world, 26)
            assert await stored(world) == 2 * messages
        world.clock.advance(31 * DAY)
        await world.ask(private("ой", date=world.clock.now() - ahead))
        await pass_hours(world, 2)
        assert await stored(world, "role = 'other'") == 1


async def test_what_is_old_goes_once_telegram_dates_a_message_or_after_a_day(world: World) -> None:
    async with world.gateway():
        await world.ask(private("эй", date=world.clock.now()))
    world.clock.advance(40 * DAY)
    async with world.gateway():
        await pass_hours(world, 20)
        assert await stored(world) == 2
        await world.ask(private("ой", date=world.clock.now()))
        await pass_hours(world, 2)
        assert await stored(world) == 2
    world.clock.advance(80 * DAY)
    async with world.gateway():
        await pass_hours(world, 20)
        assert await stored(world) == 2
        await pass_hours(world, 6)
        assert await stored(world) == 0


async def pass_hours(world: World, number: int) -> None:
    for _ in range(number):
        await world.until(lambda: world.clock.sleeps(HOUR))
        world.clock.advance(HOUR)
    await world.until(lambda: world.clock.sleeps(HOUR))
    await world.settle()
