"""Copies expire after two weeks, and a wrong clock deletes no last one."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.files import locked
from services.gateway import backup
from services.gateway.backup import DATABASE, expire
from tests.conftest import SmallDisk
from tests.services.gateway.conftest import World
from tests.services.gateway.test_backup import damage, names, refused, run, talk


def ago(days: int) -> str:
    return str(datetime.now(UTC).date() - timedelta(days=days))


@pytest.fixture
def old(world: World, copies: Path) -> Path:
    """A bot's folder with copies of 13 to 15 days, and with what two killed runs left."""
    folder = copies / world.settings.bot
    for name in (ago(13), ago(14), ago(15), f".{ago(1)}.part", f".{ago(0)}.part"):
        (folder / name).mkdir(parents=True)
        (folder / name / DATABASE).write_text("тайна")
    return folder


def test_copies_expire_and_nothing_else_does(old: Path) -> None:
    for name in ("notes", "2020-01-01-before-update"):
        (old / name).mkdir()
    (old / "2020-01-02").touch()
    (old / ".x.part").touch()
    expire(old, [ago(14), ago(15)])
    assert names(old) == {ago(13), "notes", "2020-01-01-before-update", "2020-01-02", ".x.part"}


async def test_a_wrong_clock_deletes_no_last_copy_and_its_own_copy_goes(
    world: World, copies: Path, old: Path
) -> None:
    await talk(world)
    assert run("save", copies).exit_code == 0
    good = {ago(13), ago(0)}
    for days in (400, -400):
        with world.patch.context() as patch:
            patch.setattr(backup, "datetime", clock_off(days))
            assert refused("set the clock", "save", copies)
        assert names(old) == good
    shutil.copytree(old / ago(0), old / ago(-5))
    assert ago(0) in run("restore", copies, "--force").stdout
    assert run("save", copies).exit_code == 0
    assert names(old) == good


def clock_off(days: int) -> type[datetime]:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=days)

    return Wrong


async def test_after_two_weeks_without_power_a_message_confirms_the_clock(
    world: World, copies: Path, old: Path
) -> None:
    await talk(world)
    shutil.rmtree(old / ago(13))
    with closing(sqlite3.connect(world.settings.database)) as database, database:
        database.execute("UPDATE turns SET at = 1")
    assert refused("set the clock", "save", copies)
    with closing(sqlite3.connect(world.settings.database)) as database, database:
        database.execute("UPDATE turns SET at = ?", (datetime.now(UTC).timestamp(),))
    assert run("save", copies).exit_code == 0
    assert names(old) == {ago(0)}


async def test_a_bot_that_nobody_writes_to_has_its_old_copies_deleted(
    world: World, copies: Path, old: Path
) -> None:
    await talk(world)
    with closing(sqlite3.connect(world.settings.database)) as database, database:
        database.execute("UPDATE turns SET at = 1")
    assert run("save", copies).exit_code == 0
    assert names(old) == {ago(13), ago(0)}


async def test_copies_expire_though_there_is_no_database(copies: Path, old: Path) -> None:
    assert refused("no database", "save", copies)
    assert names(old) == {ago(13)}
    (old / ago(13)).rename(old / ago(14))
    assert refused("no database", "save", copies)
    assert names(old) == set()


async def test_copies_expire_though_the_database_is_damaged(
    world: World, copies: Path, old: Path
) -> None:
    await talk(world)
    damage(world.settings.database)
    assert run("save", copies).exit_code == 2
    assert names(old) == {ago(13)}


async def test_copies_expire_though_there_is_no_room_for_another(
    world: World, small_disk: SmallDisk, old: Path
) -> None:
    await talk(world)
    shutil.copytree(old, small_disk.folder / old.name)
    small_disk.fill()
    result = run("save", small_disk.folder)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert "full" in result.stderr
    assert names(small_disk.folder / old.name) == {ago(13)}
    small_disk.free()
    assert run("save", small_disk.folder).exit_code == 0
    assert names(small_disk.folder / old.name) == {ago(13), ago(0)}


async def test_a_copy_that_cannot_be_deleted_keeps_no_other(
    world: World, copies: Path, old: Path
) -> None:
    await talk(world)
    stuck = old / ago(15)
    real = shutil.rmtree

    def rmtree(path: Path, **more: Any) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        real(path, **more)

    world.patch.setattr(shutil, "rmtree", rmtree)
    result = run("save", copies)
    assert result.exit_code == 1
    assert str(stuck) in result.stderr
    assert names(old) == {ago(0), ago(13), stuck.name}


async def test_a_backup_leaves_alone_what_another_one_is_making(copies: Path, old: Path) -> None:
    with locked(old, "busy"):
        assert refused("another backup works there", "save", copies)
    assert f".{ago(0)}.part" in names(old)
