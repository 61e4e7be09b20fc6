"""Copies of a bot's database: whole, kept for two weeks, and put back."""

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.files import LOCK
from contracts.forget import Forgotten, append, read
from contracts.settings import Volumes
from services.gateway.backup import DATABASE, app
from tests.conftest import SmallDisk, open_to_others
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private

ROOT = Path(__file__).parents[3]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def names(folder: Path) -> set[str]:
    """Return what the folder holds, but for its lock."""
    return {path.name for path in folder.iterdir()} - {LOCK}


def turns(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM turns").fetchone()[0])


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def refused(why: str, *arguments: object) -> bool:
    result = run(*arguments)
    return result.exit_code == 2 and why in result.stderr


async def talk(world: World) -> None:
    async with world.gateway():
        await world.ask(private("эй", date=datetime.now(UTC).timestamp()))


@pytest.fixture
async def day(world: World, copies: Path) -> Path:
    """Today's copy, of a database in which somebody has talked."""
    await talk(world)
    assert run("save", copies).exit_code == 0
    (name,) = names(copies / world.settings.bot)
    return copies / world.settings.bot / name


async def test_a_copy_is_whole_and_taken_while_the_gateway_runs(world: World, copies: Path) -> None:
    bot = world.settings.bot
    append(Volumes().forget(bot), Forgotten(user_id=9, at=1.0))
    async with world.gateway():
        await world.ask(private("эй", date=datetime.now(UTC).timestamp()))
        command = (sys.executable, "-m", "services.gateway.backup", "save", str(copies))
        saving = await asyncio.create_subprocess_exec(*command, cwd=ROOT, umask=0o022)
        assert await saving.wait() == 0
    (name,) = names(copies / bot)
    day = copies / bot / name
    assert turns(day / DATABASE) == 2
    assert not open_to_others(copies)
    assert names(day) == {DATABASE, "forget.jsonl"}


async def test_a_lost_or_damaged_database_comes_back(world: World, copies: Path) -> None:
    await talk(world)
    forget_file, database = Volumes().forget(world.settings.bot), world.settings.database
    append(forget_file, Forgotten(user_id=9, at=1.0))
    run("save", copies)
    (day,) = names(copies / world.settings.bot)
    forget_file.unlink()
    damage(database)
    assert run("restore", copies).exit_code == 0
    assert turns(database) == 2
    database.unlink()
    assert run("restore", copies, "--date", day).exit_code == 0
    assert [each.user_id for each in read(forget_file)] == [9]
    await talk(world)
    assert turns(database) == 4


async def test_force_alone_replaces_a_whole_database(world: World, copies: Path, day: Path) -> None:
    await talk(world)
    assert refused("is whole; --force", "restore", copies)
    assert turns(world.settings.database) == 4
    assert run("restore", copies, "--force").exit_code == 0
    assert turns(world.settings.database) == 2
    assert names(day) == {DATABASE}  # and no log


async def test_nothing_is_restored_under_a_gateway(world: World, copies: Path, day: Path) -> None:
    async with world.gateway():
        why = "another gateway of this bot is running on it"
        assert refused(why, "restore", copies, "--force")


async def test_no_damaged_database_is_copied(world: World, copies: Path, day: Path) -> None:
    before = (day / DATABASE).read_bytes()
    damage(world.settings.database)
    result = run("save", copies)
    assert result.exit_code == 2
    assert str(world.settings.database) in result.stderr or str(day) in result.stderr
    assert (day / DATABASE).read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage, "take another --date"),
        (lambda path: path.write_bytes(b""), "no database of a gateway"),
        # of a run that was killed
        (lambda path: path.parent.rename(path.parents[1] / ".2020-01-01.part"), "holds no copy"),
    ],
    ids=["damaged", "empty", "unfinished"],
)
async def test_a_copy_that_is_not_whole_is_not_put_back_and_goes_with_the_next(
    world: World, copies: Path, day: Path, spoil: Callable[[Path], object], why: str
) -> None:
    spoil(day / DATABASE)
    assert refused(why, "restore", copies, "--force")
    assert turns(world.settings.database) == 2
    assert run("save", copies).exit_code == 0
    assert names(day.parent) == {day.name}
    assert turns(day / DATABASE) == 2


async def test_what_is_not_there_is_named(copies: Path) -> None:
    assert refused("set BOT and GATEWAY_DATA_DIR", "save", copies)
    assert refused("holds no copy", "restore", copies)


async def test_a_day_without_a_copy_is_refused(copies: Path, day: Path) -> None:
    assert refused("no copy of '2020-01-01'", "restore", copies, "--date", "2020-01-01")


async def test_a_killed_restore_leaves_the_old_data(world: World, copies: Path, day: Path) -> None:
    """Also what a killed gateway had only in its log."""
    running = await world.start()
    await world.ask(private("эй", date=datetime.now(UTC).timestamp()))
    database = world.settings.database
    killed = {path: path.read_bytes() for path in database.parent.glob(f"{database.name}*")}
    await running.kill()
    for path, content in killed.items():
        path.write_bytes(content)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with world.patch.context() as patch:
        patch.setattr(Path, "replace", cut_off)
        run("restore", copies, "--force")
    assert turns(database) == 4
    assert run("restore", copies, "--force").exit_code == 0
    assert turns(database) == 2


async def test_a_restore_leaves_no_half_a_copy(
    world: World, copies: Path, day: Path, small_disk: SmallDisk
) -> None:
    """Neither where the disk is full, nor after the start that follows where it was killed."""
    small_disk.fill()
    world.patch.setenv("GATEWAY_DATA_DIR", str(small_disk.folder))
    assert refused("No space left", "restore", copies)
    assert names(small_disk.folder / world.settings.bot) == set()
    part = world.settings.database.with_suffix(".part")
    part.write_text("тайна")
    await talk(world)
    assert not part.exists()


async def test_a_copy_of_a_newer_release_is_not_put_back(
    world: World, copies: Path, day: Path
) -> None:
    for path in (day / DATABASE, world.settings.database):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 99")
    assert refused("newer release; take another --date", "restore", copies, "--force")
    shutil.copytree(day, day.with_name("2020-01-01"))
    with closing(sqlite3.connect(day.with_name("2020-01-01") / DATABASE)) as database:
        database.execute("PRAGMA user_version = 1")
    assert refused("is whole; --force", "restore", copies, "--date", "2020-01-01")
    assert run("restore", copies, "--force", "--date", "2020-01-01").exit_code == 0
