"""The disk is full, or the file was moved: nothing is lost, and all goes on by itself."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contracts.clock import MINUTE
from contracts.refusal import Refusal
from services.gateway import lifecycle
from services.gateway.flow import MOST_CRASHES
from services.gateway.polling import ALIVE_SECONDS
from services.gateway.store.database import Database
from tests.conftest import PATIENCE, SmallDisk
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private
from tests.services.gateway.test_database import store, waiting
from tests.services.sandbox.faults import Call, Fault


@pytest.fixture
def world(world: World, small_disk: SmallDisk) -> World:
    """A world whose gateway has the small disk for its database."""
    world.settings = world.settings.model_copy(update={"gateway_data_dir": small_disk.folder})
    return world


@pytest.mark.parametrize("flush", [False, True], ids=["commit", "flush"])
async def test_a_transaction_that_fails_leaves_the_next_one_a_chance(
    small_disk: SmallDisk, flush: bool
) -> None:
    with closing(Database(small_disk.folder / "x.sqlite3")) as database, capture_logs() as logged:
        small_disk.fill()
        for number in range(3):
            with pytest.raises(sqlite3.OperationalError, match="full"):
                await store(database, number, text="а" * 90_000, flush=flush)
        assert not database.is_writable
        small_disk.free()
        await store(database, 7, text="а" * 90_000, flush=flush)
        assert await waiting(database) == [7]
        assert database.is_writable
    events = ["the database does not take writes", "the database takes writes again"]
    assert [each["event"] for each in logged] == events


async def test_a_transaction_that_was_left_open_is_ended(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "x.sqlite3")) as database:
        database.connection.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError):
            await store(database, 1)
        await store(database, 2)
        assert await waiting(database) == [2]


async def test_after_a_fault_of_the_volume_the_file_is_opened_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "x.sqlite3", tmp_path / "moved"
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR
    with closing(Database(path)) as database:
        await store(database, 1)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="I/O"):
                async with database.transaction():
                    raise broken
            await store(database, 2)
        assert await waiting(database) == [1, 2]
        with pytest.raises(sqlite3.OperationalError):
            async with database.transaction():
                raise broken
        path.rename(moved)
        with pytest.raises(sqlite3.OperationalError):
            await store(database, 3)
        assert database.is_hopeless()
        moved.rename(path)
        await store(database, 3)
        assert not database.is_hopeless()


async def test_a_gateway_with_no_hope_of_its_database_is_restarted(world: World) -> None:
    async with world.gateway() as running:
        assert await running.probe("healthz") == 200
        world.patch.setattr(Database, "is_hopeless", lambda _: True)
        assert await running.probe("healthz") == 503


async def test_a_bot_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    world: World, small_disk: SmallDisk
) -> None:
    async with world.gateway() as running:
        assert await world.ask(private("до")) == ["эхо: до"]
        small_disk.fill()
        world.telegram.put(private("эй" * 2000))
        await world.until(lambda: running.metric("polls_total", outcome="disk") >= 2, step=1)
        assert running.metric("database_writable") == 0
        assert await running.probe("readyz") == 503
        assert await running.probe("healthz") == 200
        small_disk.free()
        await world.says("эхо: до", "эхо: " + "эй" * 2000, step=1)
        assert running.metric("database_writable") == 1
        assert await running.probe("readyz") == 200
        await world.settle()
    assert len(world.telegram.texts()) == 2


async def test_a_bot_to_which_nobody_writes_says_that_its_disk_is_full(
    world: World, small_disk: SmallDisk
) -> None:
    async with world.gateway() as running:
        await world.rests()
        small_disk.fill()
        await world.counts("database_writable", 0, step=MINUTE)
        assert await running.probe("readyz") == 503
        small_disk.free()
        await world.counts("database_writable", 1, step=MINUTE)


async def test_a_checkpoint_on_a_full_disk_leaves_the_time_to_wait_for_others(
    small_disk: SmallDisk,
) -> None:
    with closing(Database(small_disk.folder / "x.sqlite3")) as database:
        await store(database, 1, text="а" * 90_000)
        small_disk.fill()
        await database.shorten_log()
        assert database.connection.execute("PRAGMA busy_timeout").fetchone()[0] == 5000


async def test_a_disk_that_fills_while_a_gateway_starts_does_not_restart_it(
    world: World, small_disk: SmallDisk
) -> None:
    """What the process before was sending is to be planned again, which cannot be written."""
    world.telegram.fault = Fault(kind="hold", method="sendMessage")
    before = await world.start()
    world.telegram.put(private("эй"))
    await world.until(lambda: "sendMessage" in world.telegram.calls)
    await before.kill()
    world.telegram.fault = None
    world.telegram.on_call = lambda call: small_disk.fill() if call.method == "getMe" else None
    async with world.gateway() as running:
        await world.counts("database_writable", 0)
        began = world.clock.now()
        await world.until(lambda: world.clock.now() > began + 2 * ALIVE_SECONDS, step=1)
        assert await running.probe("healthz") == 200
        assert await running.probe("readyz") == 503
        small_disk.free()
        await world.says("эхо: эй", step=1)


async def test_a_gateway_that_waits_for_its_disk_for_ever_is_restarted(
    world: World, small_disk: SmallDisk
) -> None:
    """The disk refused before, which no restart helps; now a thread is stuck in it."""
    opened, begun, stuck = list[Database](), threading.Event(), threading.Event()

    def open_database(path: Path) -> Database:
        opened.append(Database(path))
        return opened[0]

    def wait(_: object) -> int:
        begun.set()
        stuck.wait(PATIENCE)
        return 0

    world.patch.setattr(lifecycle, "Database", open_database)
    async with world.gateway() as running:
        await world.rests()
        small_disk.fill()
        world.telegram.put(private("эй" * 2000))
        await world.counts("database_writable", 0)
        working = asyncio.create_task(opened[0].work_off(wait))
        await world.until(begun.is_set)
        for _ in range(3):  # others come to wait for the thread
            world.clock.advance(ALIVE_SECONDS)
            await world.settle()
        try:
            assert await running.probe("healthz") == 503
        finally:
            small_disk.free()
            stuck.set()
            await working


def test_a_start_on_a_full_disk_says_so(small_disk: SmallDisk) -> None:
    small_disk.fill()
    with pytest.raises(Refusal, match=r"full|No space left"):
        Database(small_disk.folder / "x.sqlite3")


@pytest.mark.parametrize("method", ["sendChatAction", "sendMessage"])
async def test_a_disk_that_fills_while_it_answers_loses_and_doubles_nothing(
    world: World, small_disk: SmallDisk, method: str
) -> None:
    """The answer cannot be kept, or that it was sent."""
    filled = asyncio.Event()

    def fill(call: Call) -> None:
        if call.method == method and not filled.is_set():
            small_disk.fill()
            filled.set()

    world.telegram.on_call = fill
    async with world.gateway() as running:
        await world.rests()
        world.telegram.put(private("эй"))
        await world.until(filled.is_set)
        await world.until(lambda: running.metric("database_writable") == 0, step=1)
        small_disk.free()
        await world.counts("messages_sent_total", step=1)
        await world.counts("database_writable", 1, step=1)
        await world.settle()
    assert world.telegram.texts() == ["эхо: эй"]


async def test_a_disk_that_is_full_again_and_again_is_no_crash(
    world: World, small_disk: SmallDisk
) -> None:
    fills = list[Call]()

    def fill(call: Call) -> None:
        is_free = not small_disk.is_filled()
        if call.method == "sendChatAction" and is_free and len(fills) <= MOST_CRASHES:
            fills.append(call)
            small_disk.fill()

    world.telegram.on_call = fill
    async with world.gateway() as running:
        await world.rests()
        world.telegram.put(private("эй"))
        for number in range(1, MOST_CRASHES + 2):
            await world.until(lambda number=number: len(fills) == number, step=1)  # type: ignore[misc]
            await world.counts("database_writable", 0, step=1)
            small_disk.free()
        await world.says("эхо: эй", step=1)
        assert running.metric("updates_failed_total") == 0
