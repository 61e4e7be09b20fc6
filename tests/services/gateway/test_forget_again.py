"""A start forgets again: a backup may have brought somebody back."""

import asyncio
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from types import SimpleNamespace

from contracts.forget import Forgotten, append
from services.gateway.lifecycle import _forget_again
from services.gateway.store.database import BATCH, Database
from tests.conftest import PATIENCE, SmallDisk
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private
from tests.services.gateway.test_forgetting import MANY, WORD, plant, planted


async def test_a_restored_backup_brings_nobody_back(world: World) -> None:
    async with world.gateway():
        await world.ask(private("эй"))
    plant(world.settings.database, MANY)
    append(world.settings.forget_dir / "forget.jsonl", Forgotten(user_id=7, at=1e5))  # type: ignore[operator]
    async with world.gateway():
        await world.until(lambda: planted(world.settings.database) == 0)


async def test_told_to_end_on_a_full_disk_a_start_that_forgets_again_ends(
    world: World, small_disk: SmallDisk
) -> None:
    append(world.settings.forget_dir / "forget.jsonl", Forgotten(user_id=7, at=1e5))  # type: ignore[operator]
    world.settings = world.settings.model_copy(update={"gateway_data_dir": small_disk.folder})
    world.settings.database.parent.mkdir()
    Database(world.settings.database).close()
    plant(world.settings.database, MANY * 3, text=WORD * 90)
    small_disk.fill(leave=1 << 16)
    async with asyncio.timeout(5):
        running = await world.start()
        await world.counts("database_writable", 0)
        running.stop.set()
        await running.ended


async def test_a_start_after_a_restore_looks_for_each_person_a_few_times(tmp_path: Path) -> None:
    people, file, queries = 2 * BATCH, tmp_path / "forget.jsonl", list[str]()
    entries = [Forgotten(user_id=number, at=9.0).model_dump_json() for number in range(people)]
    file.write_text("\n".join([*entries, ""]))
    with closing(Database(tmp_path / "x.sqlite3")) as database:
        plant(database._path, people)
        database.connection.execute("UPDATE turns SET user_id = message_id - 900000, at = 1.0")
        database.connection.set_trace_callback(queries.append)

        async def write(step: Callable[[Connection], None]) -> None:
            async with database.transaction() as db:
                step(db)

        outside = {"forget_file": file, "write": write, "forgotten": {}}
        await _forget_again(SimpleNamespace(**outside))  # type: ignore[arg-type]
        database.connection.set_trace_callback(None)
        assert planted(database._path) == 0
    assert len(queries) < 10 * people


async def test_it_is_alive_and_not_ready_while_the_forget_list_is_read(world: World) -> None:
    """The list is a pipe here: reading it takes until somebody has written it."""
    folder = world.settings.forget_dir
    assert folder
    folder.mkdir()
    os.mkfifo(folder / "forget.jsonl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    world.settings = world.settings.model_copy(update={"metrics_port": port})
    seen = list[tuple[int, int]]()

    def look() -> None:
        for _ in range(100):
            seen.append((status(port, "healthz"), status(port, "readyz")))
            if seen[-1][0] or pause.wait(0.02):
                break
        with (folder / "forget.jsonl").open("w"):
            (folder / "forget.jsonl").unlink()  # nobody else waits for it

    pause, looking = threading.Event(), threading.Thread(target=look)
    looking.start()
    async with world.gateway():
        await world.until(lambda: not looking.is_alive())
        await asyncio.to_thread(looking.join, PATIENCE)
        assert seen[-1] == (200, 503)
        await world.ask(private("эй"))
        assert await asyncio.to_thread(status, port, "readyz") == 200


def status(port: int, path: str) -> int:
    """The status of an answer, 0 for none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=1) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
