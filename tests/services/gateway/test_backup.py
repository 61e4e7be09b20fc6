"""Copies of a bot's database: whole, kept for two weeks, and put back."""

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.files import LOCK, locked
from contracts.forget import Forgotten, append, read
from contracts.model_version import BotModels
from contracts.settings import Volumes
from services.gateway import backup
from services.gateway.backup import DATABASE, app, expire
from tests.conftest import SmallDisk, open_to_others
from tests.contracts.versions import publish
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private

ROOT = Path(__file__).parents[3]


@pytest.fixture
def copies(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job beside the world's gateway; returns where copies go."""
    world.clock.jump(datetime.now(UTC).timestamp() - world.clock.now())
    folders = {"DATA_DIR": tmp_path / "data", "MODELS_DIR": tmp_path / "models"}
    here = {"BOT": world.settings.bot, "GATEWAY_DATA_DIR": world.settings.gateway_data_dir}
    for name, value in (folders | here).items():
        monkeypatch.setenv(name, str(value))
    return tmp_path / "copies"


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
    publish(BotModels(Volumes().models(bot)), "20260101-120000-aaaaaaaa")
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
    assert names(day) == {DATABASE, "forget.jsonl", "manifests"}
    assert [path.stem for path in (day / "manifests").iterdir()] == ["20260101-120000-aaaaaaaa"]


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
    assert names(day) == {DATABASE, "manifests"}  # and no log


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
    shutil.copytree(day, day.with_name(ago(3)))
    with closing(sqlite3.connect(day.with_name(ago(3)) / DATABASE)) as database:
        database.execute("PRAGMA user_version = 1")
    assert refused("is whole; --force", "restore", copies, "--date", ago(3))
    assert run("restore", copies, "--force", "--date", ago(3)).exit_code == 0
