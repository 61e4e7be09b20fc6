"""What is kept and for how long: retention, backups, databases of before, damaged ones."""

import asyncio
import itertools
import sqlite3
import threading
from contextlib import closing
from os import SEEK_END
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.operations import Operations
from sqlalchemy import RootTransaction, create_engine
from sqlalchemy.exc import OperationalError

from contracts.refusal import Refusal
from services.gateway.answer import Answer, Outgoing
from services.gateway.changes import forgotten_before, had, joined_are_answered
from services.gateway.database import Database, alembic_config
from services.gateway.decision import Reason
from services.gateway.raw import Place
from services.gateway.store import KEEP_SENT, Store
from services.gateway.tables import Base
from services.gateway.turn_store import Heard
from tests.conftest import PATIENCE
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import group, private

DAY = 86_400.0


def counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        return {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in Base.metadata.tables
        }


async def test_what_was_said_goes_after_its_time(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("тайна"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    world.clock.advance(31 * DAY)
    path = world.settings.database
    database = Database.open(path)
    await Store(database.connection).prune(world.clock.now(), days=30)
    database.close()
    left = counts(path)
    assert (left["turns"], left["outbox"]) == (0, 0)
    assert left["updates"] == 1  # the offset is counted from it


async def test_a_raw_update_goes_with_its_answer(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("тайна"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    with closing(sqlite3.connect(world.settings.database)) as database:
        assert database.execute("SELECT payload FROM updates").fetchall() == [("",)]
        assert database.execute("SELECT text FROM outbox").fetchall() == [("",)]


async def test_what_is_not_handled_or_sent_is_never_pruned(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    await store.take([{"update_id": n, "message": {"chat": {"id": 5}}} for n in (1, 2, 3)], 0.0)
    await store.settle(1, Answer((Outgoing(5, "эй"),)), 0.0)
    await store.settle(3, Answer(), 0.0)
    await store.prune(KEEP_SENT + 1, days=1)
    assert await store.waiting() == [(5, 2)]
    assert (await store.outbox.chats())[1] == 1
    assert await store.offset(1.0) == 4
    database.close()


async def test_a_full_disk_leaves_nothing_of_what_it_refused(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    pages = database.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    database.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
    database.connection.rollback()
    big = [{"update_id": n, "message": {"text": "а" * 9000}} for n in range(9)]
    with pytest.raises(OperationalError, match="full"):
        await store.take(big, 1.0)
    database.connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    database.connection.rollback()
    await store.take(big[:1], 1.0)
    assert await store.waiting() == [(0, 0)]
    database.close()


async def test_who_is_cancelled_while_it_is_flushed_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    real, begun, may_end = RootTransaction.commit, threading.Event(), threading.Event()

    def commit(self: RootTransaction) -> None:
        begun.set()
        may_end.wait(PATIENCE)
        real(self)

    monkeypatch.setattr(RootTransaction, "commit", commit)
    taking = asyncio.create_task(store.take([{"update_id": 1}], 1.0))
    await asyncio.to_thread(begun.wait, PATIENCE)
    taking.cancel()
    waiting = asyncio.create_task(store.waiting())
    may_end.set()
    assert await waiting == [(0, 1)]
    with pytest.raises(asyncio.CancelledError):
        await taking
    database.close()


async def test_a_failed_commit_and_a_cancelled_caller_leave_the_store_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    begun, may_end = threading.Event(), threading.Event()

    def commit(_self: RootTransaction) -> None:
        begun.set()
        may_end.wait(PATIENCE)
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(RootTransaction, "commit", commit)
        taking = asyncio.create_task(store.take([{"update_id": 1}], 1.0))
        await asyncio.to_thread(begun.wait, PATIENCE)
        taking.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await taking
    assert await store.waiting() == []
    assert await store.offset(1.0) is None
    await store.take([{"update_id": 2}], 1.0)
    assert await store.waiting() == [(0, 2)]
    database.close()


async def write_damaged(path: Path) -> None:
    """A database that was overwritten in the middle."""
    database = Database.open(path)
    store = Store(database.connection)
    await store.take([{"update_id": n, "message": {"text": "а" * 500}} for n in range(200)], 0.0)
    database.close()
    with path.open("r+b") as file:
        file.seek(file.seek(0, SEEK_END) // 2)
        file.write(b"\xff" * 8192)


async def test_a_damaged_database_is_refused_at_start(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    await write_damaged(path)
    with pytest.raises(Refusal, match=r"damaged|not a usable database"):
        Database.open(path)


async def test_a_message_costs_no_more_in_a_long_history(tmp_path: Path) -> None:
    assert await steps(tmp_path, 4000) < 1.5 * await steps(tmp_path, 400)


async def steps(folder: Path, length: int) -> int:
    """Instructions of SQLite that a message in a chat with so long a history takes."""
    database = Database.open(folder / f"{length}.sqlite3")
    store = Store(database.connection)
    row = "INSERT INTO turns VALUES (?, 5, 0, ?, ?, ?, ?, 'слово', ?, '', NULL)"
    rows = [
        (n, n, 9 if n % 2 else 8, "other" if n % 2 else "persona", n % 2 == 0, float(n))
        for n in range(1, length + 1)
    ]
    database.connection.exec_driver_sql(row, rows)
    database.connection.commit()
    count = itertools.count()
    sqlite: Any = database.connection.connection.driver_connection
    sqlite.set_progress_handler(lambda: next(count) and 0, 10)
    now, place = length + 1.0, Place(5, 0, 9)
    await store.take([{"update_id": 1, "message": group("автобус", chat=5)}], now)
    heard = Heard(5, 0, length + 1, 9, False, "автобус", now)
    await store.turns.view(heard, now)
    await store.turns.remember(heard, Reason.NAME, 1)
    await store.goes_on(1, place, now)
    await store.turns.recall(5, 0, length + 1, 60)
    made = joined_are_answered(5, 0, 9, now), had(9, 5, "answer", now)
    await store.settle(1, Answer((Outgoing(5, "еду", spoken=True, reply_to=length),), made), now)
    planned = await store.outbox.first(5)
    assert planned is not None
    assert await store.outbox.sending(planned)
    await store.outbox.sent(planned, length + 2, 8, now)
    sqlite.set_progress_handler(None, 0)
    database.close()
    return next(count)


async def test_a_migration_that_is_cut_off_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
    engine.dispose()

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Operations, "create_table", cut_off)  # in the middle of the second
        with pytest.raises(KeyboardInterrupt):
            Database.open(path)
    Database.open(path).close()
    assert counts(path)["denied"] == 0


async def test_a_backup_brings_nobody_back_who_is_forgotten(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    await store.take([{"update_id": n, "message": private("тайна")} for n in (1, 2)], 10.0)
    await store.settle(1, Answer((Outgoing(7, "ответ на тайну", asker=7),)), 11.0)
    await store.commit(forgotten_before([(7, 20.0)]))
    assert await store.waiting() == []
    assert await store.outbox.first(7) is None
    database.close()
    assert "тайн".encode() not in (tmp_path / "x.sqlite3").read_bytes()


async def test_a_database_of_the_first_release_is_brought_along(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.exec_driver_sql(
            "INSERT INTO updates VALUES (7, '{\"update_id\": 7}', 'new', 0, 5, 1.0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO turns VALUES (1, 5, 0, 3, 9, 'other', 0, 'привет', 1.0)"
        )
        connection.exec_driver_sql("INSERT INTO chats VALUES (5, 0, '{\"insane\": true}', NULL)")
        connection.exec_driver_sql(
            "INSERT INTO outbox VALUES (1, 6, 0, 5, 0, 3, 'да', 1, 'planned', NULL, 0.0, 0)"
        )
    engine.dispose()
    database = Database.open(path)
    store = Store(database.connection)
    assert await store.waiting() == [(5, 7)]
    assert (await store.turns.settings(5, 0)).insane
    [said] = (await store.turns.recall(5, 0, 3, 10)).messages
    assert said.text == "привет"
    row = await store.outbox.first(5)
    assert row is not None
    assert (row.text, row.asker, row.planned_at) == ("да", 0, 0.0)
    database.close()
