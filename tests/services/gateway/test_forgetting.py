"""What is deleted: in batches, and without a trace in the files; a start that forgets again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.clock import HOUR, MINUTE
from services.gateway.incoming import read_message
from services.gateway.store import chats, history
from services.gateway.store import database as store
from services.gateway.store.database import BATCH, Database
from services.gateway.store.database_file import MIGRATIONS
from services.gateway.telegram import RepliedTo
from tests.conftest import SmallDisk
from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import private

MANY = 3 * BATCH
WORD = "тайна"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    with closing(Database(tmp_path / "x.sqlite3")) as opened:
        yield opened


def plant(path: Path, rows: int, chat: int = 7, text: str = WORD) -> None:
    """A history in which person 7 wrote so much."""
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(
            """INSERT INTO turns (chat, topic, message_id, user_id, role, is_bot, text, at)
            VALUES (?, 0, ?, 7, 'other', 0, ?, ?)""",
            [(chat, 900_000 + number, text, float(number)) for number in range(rows)],
        )


def make_old(path: Path, schema: int) -> None:
    """A database as one of before made it, which gives no room back."""
    with closing(sqlite3.connect(path)) as old:
        for file in sorted(MIGRATIONS.glob("*.sql"))[:schema]:
            old.executescript(file.read_text())
        old.execute(f"PRAGMA user_version={schema}")


def planted(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        query = "SELECT count(*) FROM turns WHERE message_id >= 900000"
        return int(database.execute(query).fetchone()[0])


def traces(path: Path) -> set[str]:
    """The files of the database in which the word stands."""
    files = path.parent.glob(f"{path.name}*")
    return {file.name for file in files if WORD.encode() in file.read_bytes()}


@pytest.mark.parametrize(
    ("step", "moved"),
    [(lambda db: history.reset(db, -7, 0, 1), 0), (lambda db: chats.migrate(db, -7, -1007), MANY)],
    ids=["reset", "moved"],
)
async def test_a_long_history_is_worked_off_in_batches_between_which_others_come(
    database: Database, step: Callable[[sqlite3.Connection], int], moved: int
) -> None:
    plant(database._path, MANY, chat=-7)
    working = asyncio.create_task(database.work_off(step))
    counts, query = {MANY}, "SELECT count(*) FROM turns WHERE chat = ?"
    while not working.done():
        async with database.transaction() as db:
            counts.add(db.execute(query, (-7,)).fetchone()[0])
        await asyncio.sleep(0)
    async with database.transaction() as db:
        assert db.execute(query, (-1007,)).fetchone()[0] == moved
    assert counts >= {MANY, MANY - BATCH, BATCH, 0}


@pytest.mark.parametrize("command", ["/reset", "/forgetme"])
async def test_killed_between_two_batches_the_command_is_carried_out_after_a_restart(
    world: World, command: str
) -> None:
    real, reached = store._uncancelled, asyncio.Event()

    async def stop_in_between(work: Callable[[], Any], *more: Any) -> Any:
        if 0 < planted(world.settings.database) < MANY:
            reached.set()
            await asyncio.Event().wait()
        return await real(work, *more)

    with world.patch.context() as patch:
        running = await world.start()
        plant(world.settings.database, MANY)
        patch.setattr(store, "_uncancelled", stop_in_between)
        world.telegram.put(private(command))
        await world.until(reached.is_set)
        await running.kill()
    assert world.telegram.texts() == []
    async with world.gateway():
        await world.says(TEXTS.reset if command == "/reset" else TEXTS.forgotten)
    assert planted(world.settings.database) == 0


async def test_what_the_persona_said_is_found_by_an_index(database: Database) -> None:
    queries = list[str]()
    async with database.transaction() as db:
        db.set_trace_callback(queries.append)
        history.read_basis(db, read_message(private("эй"), 1.0), 60)
        history.persona_id(db)
        db.set_trace_callback(None)
        for query in (each for each in queries if "role = 'persona'" in each):
            assert "turns_persona" in plan(db, query), query


def plan(db: sqlite3.Connection, query: str) -> str:
    return " ".join(str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))


def edited(world: World) -> None:
    world.telegram.put_raw(edited_message=private("иное", message_id=77, edit_date=1))


@pytest.mark.parametrize(
    ("forget", "says"),
    [
        (lambda world: world.telegram.put(private("/forgetme")), [TEXTS.forgotten]),
        (lambda world: world.telegram.put(private("/reset")), [TEXTS.reset]),
        (edited, []),
    ],
    ids=["forgetme", "reset", "edit"],
)
async def test_no_file_of_a_running_gateway_holds_what_was_forgotten(
    world: World, forget: Callable[[World], None], says: list[str]
) -> None:
    """Nor one that a backup reads at that moment, a minute after the backup's end."""
    path = world.settings.database
    world.generation.candidates = []
    async with world.gateway():
        await world.talk(private(WORD, message_id=77))
        await world.counts("replies_total", outcome="nothing")
        with closing(sqlite3.connect(path)) as backup:
            backup.execute("BEGIN")
            backup.execute("SELECT count(*) FROM turns").fetchone()
            forget(world)
            await world.says(*says)
            await world.until(lambda: not in_tables(path))
            world.clock.advance(MINUTE)
            await world.settle()
            assert traces(path)
        await world.until(lambda: not traces(path), step=MINUTE)


def in_tables(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT text FROM turns UNION ALL SELECT payload FROM updates")
        return any(WORD in text for (text,) in rows)


async def test_nothing_is_left_in_the_files_once_it_is_said_to_be_deleted(world: World) -> None:
    async with world.gateway():
        world.generation.candidates = [candidate("ладно")]
        await world.ask(private(WORD), private("ещё"))
        plant(world.settings.database, 50, chat=-5)
        assert traces(world.settings.database)
        await world.ask(private("/forgetme"))
        assert traces(world.settings.database) == set()


def test_a_database_that_is_too_large_to_rewrite_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "REWRITTEN_BYTES", 4096)
    with closing(Database(tmp_path / "x.sqlite3")) as database, capture_logs() as logged:
        asyncio.run(database.rewrite())
        asyncio.run(database.rewrite())
    assert [each["event"] for each in logged] == ["database not rewritten: it is too large"]


async def test_words_not_to_say_again_are_recognised_and_stand_nowhere(tmp_path: Path) -> None:
    """Those of an older database too."""
    path = tmp_path / "x.sqlite3"
    make_old(path, 2)
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("INSERT INTO denied VALUES (-7, ?, 1)", (f"{WORD} едем",))
    with closing(Database(path)) as database:
        said = RepliedTo.model_validate({"message_id": 1, "text": f"Всё {WORD}!"})
        async with database.transaction() as db:
            chats.deny(db, -7, said, 1.0, False)
            for text in (f"{WORD.title()}, едем", f"все {WORD}"):
                assert chats.is_denied(db, -7, text)
                assert not chats.is_denied(db, -8, text)
        await database.shorten_log()
        assert not traces(path)


async def test_an_hour_later_no_page_holds_what_sqlite_left_of_a_deleted_row(world: World) -> None:
    """As where it had moved rows to another page before: here, by a deletion that wipes nothing."""
    async with world.gateway():
        path = world.settings.database
        plant(path, 200)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA secure_delete=OFF")
            database.execute("DELETE FROM turns WHERE message_id % 3 > 0")
        await world.ask(private("/forgetme"))
        assert traces(path)
        began = world.clock.now()
        await world.until(lambda: not traces(path), step=MINUTE)
        assert world.clock.now() - began < 2 * HOUR


async def test_what_is_pruned_gives_its_room_back(database: Database) -> None:
    plant(database._path, MANY, text=WORD * 300)
    await database.shorten_log()
    full = database._path.stat().st_size
    await database.work_off(lambda db: history.prune(db, 1e9, days=1))
    assert database._path.stat().st_size < full / 10
    assert database._path.with_name("x.sqlite3-wal").stat().st_size == 0


async def test_a_volume_that_is_nearly_full_has_room_after_less_is_kept(
    small_disk: SmallDisk,
) -> None:
    path = small_disk.folder / "x.sqlite3"
    with closing(Database(path)) as database:
        plant(path, 2000, text=WORD * 90)
        await database.shorten_log()
        small_disk.fill(leave=1 << 20)
        await database.work_off(lambda db: history.prune(db, 1e9, days=1))
        assert path.stat().st_size < 200_000
        assert path.with_name("x.sqlite3-wal").stat().st_size == 0


async def test_a_file_that_gave_no_room_back_is_made_to(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    make_old(path, 1)
    plant(path, 10)
    with closing(Database(path)) as database:
        await database.rewrite()
        assert database.connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 2
        assert database.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert planted(path) == 10


async def test_who_cannot_be_noted_is_told_so_and_keeps_no_chat_waiting(
    world: World, small_disk: SmallDisk
) -> None:
    world.settings = world.settings.model_copy(update={"forget_dir": small_disk.folder})
    small_disk.fill()
    with capture_logs() as logged:
        async with world.gateway():
            world.telegram.put(private("/forgetme"), private("эй"))
            await world.says(TEXTS.not_forgotten, "эхо: эй", step=1)
            small_disk.free()
            assert await world.ask(private("/forgetme")) == [TEXTS.forgotten]
    events = {each["event"] for each in logged if each["log_level"] == "error"}
    assert "the forget list does not take an entry" in events
