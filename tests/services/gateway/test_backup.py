"""Copies of a bot's database: whole, kept for two weeks, and put back."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.forget import Forgotten, append, read
from contracts.model_version import BotModels
from contracts.settings import Volumes
from services.gateway.backup import DATABASE, app, expire
from tests.contracts.versions import publish
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private


@pytest.fixture
def copies(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job beside the world's gateway; returns where copies go."""
    folders = {"DATA_DIR": tmp_path / "data", "MODELS_DIR": tmp_path / "models"}
    here = {"BOT": world.settings.bot, "GATEWAY_DATA_DIR": world.settings.gateway_data_dir}
    for name, value in (folders | here).items():
        monkeypatch.setenv(name, str(value))
    return tmp_path / "copies"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


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
        await world.ask(private("эй"))


@pytest.fixture
async def day(world: World, copies: Path) -> Path:
    """Today's copy, of a database in which somebody has talked."""
    await talk(world)
    assert run("save", copies).exit_code == 0
    return next((copies / world.settings.bot).iterdir())


async def test_a_copy_is_whole_and_taken_while_the_gateway_runs(world: World, copies: Path) -> None:
    bot = world.settings.bot
    publish(BotModels(Volumes().models(bot)), "20260101-120000-aaaaaaaa")
    append(Volumes().forget(bot), Forgotten(user_id=9, at=1.0))
    async with world.gateway():
        await world.ask(private("эй"))
        assert run("save", copies).exit_code == 0
    (day,) = (copies / bot).iterdir()
    assert turns(day / DATABASE) == 2
    assert (day / DATABASE).stat().st_mode & 0o777 == 0o600
    assert names(day) == {DATABASE, "forget.jsonl", "manifests"}
    assert [path.stem for path in (day / "manifests").iterdir()] == ["20260101-120000-aaaaaaaa"]


async def test_a_lost_or_damaged_database_comes_back(world: World, copies: Path) -> None:
    await talk(world)
    forget_file, database = Volumes().forget(world.settings.bot), world.settings.database
    append(forget_file, Forgotten(user_id=9, at=1.0))
    run("save", copies)
    (day,) = (copies / world.settings.bot).iterdir()
    forget_file.unlink()
    damage(database)
    assert run("restore", copies).exit_code == 0
    assert turns(database) == 2
    database.unlink()
    assert run("restore", copies, "--date", day.name).exit_code == 0
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
    assert [path.name for path in day.parent.iterdir()] == [day.name]
    assert turns(day / DATABASE) == 2


async def test_what_is_not_there_is_named(copies: Path) -> None:
    assert refused("set BOT and GATEWAY_DATA_DIR", "save", copies)
    assert refused("holds no copy", "restore", copies)


async def test_a_day_without_a_copy_is_refused(copies: Path, day: Path) -> None:
    assert refused("no copy of '2020-01-01'", "restore", copies, "--date", "2020-01-01")


async def test_a_killed_restore_leaves_the_old_data(world: World, copies: Path, day: Path) -> None:
    """Also what a killed gateway had only in its log."""
    running = await world.start()
    await world.ask(private("эй"))
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


def test_copies_expire_and_nothing_else_does(tmp_path: Path) -> None:
    kept = {"2026-11-15", "notes", "2020-01-01-before-update", "2020-01-02"}
    for name in {"2026-11-01", *kept} - {"2020-01-02"}:
        (tmp_path / name).mkdir()
    (tmp_path / "2020-01-02").touch()
    expire(tmp_path, date(2026, 11, 15))
    assert {path.name for path in tmp_path.iterdir()} == kept
