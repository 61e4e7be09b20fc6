"""The database: durable, checked, migrated whole; what is kept in it and for how long."""

import asyncio
import itertools
import resource
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from os import SEEK_END
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from services.gateway.answer import Outgoing
from services.gateway.incoming import read_message
from services.gateway.reasons import ChatSettings, Reason
from services.gateway.store import history, inbox, outbox
from services.gateway.store.database import Database
from services.gateway.store.database_file import MIGRATIONS
from tests.conftest import PATIENCE
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import group, private

DAY = 86_400.0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with closing(Database(tmp_path / "салон и парк" / "x.sqlite3")) as opened:
        yield opened


def log_of(database: Database) -> Path:
    file = database.connection.execute("PRAGMA database_list").fetchone()[2]
    return Path(f"{file}-wal")


async def store(database: Database, *numbers: int, text: str = "", flush: bool = True) -> None:
    async with database.transaction(flush=flush) as db:
        inbox.store_updates(db, [{"update_id": each, "poll": text} for each in numbers], 1.0)


async def waiting(database: Database) -> list[int]:
    async with database.transaction(flush=True) as db:
        return [arrival.update_id for arrival in inbox.waiting(db)]


def read_rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


async def test_what_was_said_goes_with_its_answer_and_after_its_time(world: World) -> None:
    path = world.settings.database
    async with world.gateway():
        await world.ask(private("тайна"))
    assert read_rows(path, "SELECT payload FROM updates") == [("",)]
    assert read_rows(path, "SELECT text FROM outbox") == [("",)]
    world.clock.advance(31 * DAY)
    with closing(Database(path)) as database:
        async with database.transaction() as db:
            history.prune(db, world.clock.now(), days=30)
    assert read_rows(path, "SELECT id FROM turns UNION SELECT id FROM outbox") == []
    assert read_rows(path, "SELECT count(*) FROM updates") == [(1,)]  # the offset rests on it


async def test_what_is_not_handled_or_sent_is_never_pruned(database: Database) -> None:
    async with database.transaction() as db:
        updates = [{"update_id": n, "message": private("эй", 5)} for n in (1, 2, 3)]
        inbox.store_updates(db, updates, 0.0)
        outbox.plan(db, 1, [Outgoing(5, "эй")], 0.0)
        inbox.end(db, 1, "done")
        inbox.end(db, 3, "done")
        history.prune(db, outbox.KEEP_SENT_SECONDS + 1, days=1)
        assert [each.update_id for each in inbox.waiting(db)] == [2]
        assert outbox.count(db) == 1
        assert inbox.next_offset(db, 1.0) == 4


async def test_an_offset_is_not_sent_after_a_quiet_week(database: Database) -> None:
    week = inbox.OFFSET_SECONDS
    async with database.transaction() as db:
        assert inbox.next_offset(db, 0.0) is None
        inbox.store_updates(db, [{"update_id": 900}], 0.0)
        assert inbox.next_offset(db, week) == 901
        assert inbox.next_offset(db, week + 1) is None
        inbox.store_updates(db, [{"update_id": 5}], week + 2)
        assert inbox.next_offset(db, week + 3) == 6


async def test_an_update_of_an_unknown_kind_is_kept(database: Database) -> None:
    async with database.transaction() as db:
        inbox.store_updates(db, [{"update_id": 1, "poll": {}}, {"update_id": 2, "message": 5}], 0.0)
        assert [each[:2] for each in inbox.waiting(db)] == [(1, None), (2, None)]


async def test_a_full_disk_leaves_nothing_of_what_it_refused(database: Database) -> None:
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        await store(database, *range(9), text="а" * 9000)
    database.connection.execute("PRAGMA max_page_count = 100000")
    assert await waiting(database) == []
    await store(database, 0, text="а" * 9000)
    assert await waiting(database) == [0]


async def test_a_commit_that_fails_leaves_the_database_usable(database: Database) -> None:
    """The log may not grow, as on a disk that is full at the commit itself."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (log_of(database).stat().st_size + 3 * 4096, limits[1])
    )
    try:
        with pytest.raises(sqlite3.OperationalError):
            await store(database, 1, text="а" * 90_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    await store(database, 2)
    assert await waiting(database) == [2]


@pytest.mark.parametrize("fails", [False, True], ids=["whole", "failing"])
async def test_who_is_cancelled_while_it_is_flushed_waits_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    real, begun, may_end = database._commit, threading.Event(), threading.Event()

    def commit() -> None:
        begun.set()
        may_end.wait(PATIENCE)
        if fails:
            raise OSError
        real()

    with monkeypatch.context() as patch:
        patch.setattr(database, "_commit", commit)
        taking = asyncio.create_task(store(database, 1))
        await asyncio.to_thread(begun.wait, PATIENCE)
        taking.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await taking
    assert await waiting(database) == ([] if fails else [1])


@pytest.mark.parametrize(("flush", "level"), [(False, 1), (True, 2)])
async def test_a_flush_is_a_commit_that_waits_for_the_disk(
    database: Database, flush: bool, level: int
) -> None:
    """SQLite syncs the log in a commit at level 2, FULL, and not at 1, NORMAL."""
    async with database.transaction(flush=flush) as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == level
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_who_is_cancelled_while_the_file_is_rewritten_does_not_wait_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = threading.Event()
    database.connection.create_function("begin_it", 0, began.set)
    endless = """WITH RECURSIVE c(x) AS (SELECT coalesce(begin_it(), 1) UNION ALL SELECT x + 1
        FROM c) SELECT max(x) FROM c"""
    monkeypatch.setattr(database, "_rewrite", lambda: database.connection.execute(endless))
    rewriting = asyncio.create_task(database.rewrite())
    assert await asyncio.to_thread(began.wait, PATIENCE)
    rewriting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rewriting
    assert database.is_rewrite_due
    await store(database, 1)


async def test_the_log_stays_short_though_nothing_is_flushed(database: Database) -> None:
    for number in range(200):
        await store(database, number, text="а" * 50_000, flush=False)
    assert log_of(database).stat().st_size < 9_000_000


async def write_damaged(path: Path) -> None:
    """A database that was overwritten in the middle."""
    with closing(Database(path)) as database:
        await store(database, *range(200), text="а" * 500)
    with path.open("r+b") as file:
        file.seek(file.seek(0, SEEK_END) // 2)
        file.write(b"\xff" * 8192)


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(statement)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda path: path.write_text("whatever its name says\n" * 100), "cannot be used"),
        (lambda path: execute(path, "CREATE TABLE updates (a)"), "not a database of this release"),
        (lambda path: execute(path, "PRAGMA user_version = 99"), "newer release .* run that one"),
    ],
    ids=["no database", "older", "newer"],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, write: Callable[[Path], object], why: str
) -> None:
    path = tmp_path / "x.sqlite3"
    write(path)
    with pytest.raises(Refusal, match=why):
        Database(path)


async def test_a_damaged_database_is_refused_at_start(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    await write_damaged(path)
    with pytest.raises(Refusal, match=r"damaged|cannot be used"):
        Database(path)


async def test_a_cut_off_migration_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, later = tmp_path / "x.sqlite3", tmp_path / "migrations"
    Database(path).close()
    shutil.copytree(MIGRATIONS, later)
    (later / "9999_later.sql").write_text("CREATE TABLE one (a); CREATE TABLE updates (a);")
    with monkeypatch.context() as patch:
        patch.setattr("services.gateway.store.database_file.MIGRATIONS", later)
        with pytest.raises(Refusal, match="cannot be used"):
            Database(path)
    assert ("one",) not in read_rows(path, "SELECT name FROM sqlite_master")
    released = len(list(MIGRATIONS.glob("*.sql")))
    assert read_rows(path, "PRAGMA user_version") == [(released,)]


async def test_a_message_costs_no_more_in_a_long_history(tmp_path: Path) -> None:
    assert await steps(tmp_path, 4000) < 1.5 * await steps(tmp_path, 400)


async def steps(folder: Path, length: int) -> int:
    """Instructions of SQLite that a message in a chat with so long a history takes."""
    with closing(Database(folder / str(length) / "x.sqlite3")) as database:
        async with database.transaction() as db:
            db.executemany(
                """INSERT INTO turns (id, chat, topic, message_id, user_id, role, is_bot, text, at)
                VALUES (?, 5, 0, ?, ?, ?, ?, 'слово', ?)""",
                [
                    (n, n, 9 if n % 2 else 8, "other" if n % 2 else "persona", n % 2 == 0, float(n))
                    for n in range(1, length + 1)
                ],
            )
        count = itertools.count()
        database.connection.set_progress_handler(lambda: next(count) and 0, 10)
        now = length + 1.0
        raw = group("автобус", chat=5, message_id=length + 1, date=now)
        message = read_message(raw, now)
        async with database.transaction() as db:
            inbox.store_updates(db, [{"update_id": 1, "message": raw}], now)
            inbox.begin(db, 1)
            history.view(db, message, now, ChatSettings())
            history.add_message(db, message, Reason.NAME)
            inbox.later_messages(db, 1, message)
            history.read_basis(db, message, 60)
            inbox.end(db, 1, "done")
            history.end_burst(db, message, Reason.PRIVATE)
            outbox.plan(db, 1, [Outgoing(5, "еду", spoken=True, reply_to=length)], now)
            row = outbox.next_planned(db, 5)
            assert row
            outbox.mark_sending(db, row)
            history.bots_in_a_row(db, 5, 0)
            outbox.mark_sent(db, row, length + 2)
        database.connection.set_progress_handler(None, 0)
        return next(count)


async def test_a_backup_brings_nobody_back_who_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    with closing(Database(path)) as database:
        async with database.transaction() as db:
            updates = [{"update_id": n, "message": private("тайна")} for n in (1, 2)]
            inbox.store_updates(db, updates, 10.0)
            outbox.plan(db, 1, [Outgoing(7, "ответ на тайну", asker=7)], 11.0)
            inbox.end(db, 1, "done")
        async with database.transaction() as db:
            assert history.forget(db, 7, before=20.0)
            outbox.forget(db, 7, 20.0)
            assert inbox.waiting(db) == []
            assert outbox.next_planned(db, 7) is None
    assert "тайн".encode() not in path.read_bytes()
