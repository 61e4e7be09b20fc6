"""Copies of a bot's database: whole, kept for two weeks, and put back."""

import sqlite3
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
from services.gateway.store.database import Database
from tests.contracts.versions import publish
from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import private


@pytest.fixture
def copies(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a job beside the world's gateway; returns where copies go."""
    monkeypatch.setenv("BOT", world.settings.bot)
    monkeypatch.setenv("GATEWAY_DATA_DIR", str(world.settings.gateway_data_dir))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "copies"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def turns(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM turns").fetchone()[0])


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


async def talked(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("messages_sent_total") == 1)


async def test_a_copy_is_whole_and_taken_while_the_gateway_runs(world: World, copies: Path) -> None:
    bot = world.settings.bot
    publish(BotModels(Volumes().models(bot)), "20260101-120000-aaaaaaaa")
    append(Volumes().forget(bot), Forgotten(user_id=9, at=1.0))
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("messages_sent_total") == 1)
        assert run("save", copies).exit_code == 0
    (day,) = (copies / bot).iterdir()
    assert turns(day / DATABASE) == 2
    assert (day / DATABASE).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in day.iterdir()} == {DATABASE, "forget.jsonl", "manifests"}
    assert [path.stem for path in (day / "manifests").iterdir()] == ["20260101-120000-aaaaaaaa"]


async def test_a_lost_or_damaged_database_comes_back(world: World, copies: Path) -> None:
    await talked(world)
    append(Volumes().forget(world.settings.bot), Forgotten(user_id=9, at=1.0))
    run("save", copies)
    Volumes().forget(world.settings.bot).unlink()
    database = world.settings.database
    damage(database)
    assert run("restore", copies).exit_code == 0
    assert turns(database) == 2
    database.unlink()
    assert run("restore", copies, "--date", f"{next((copies / world.settings.bot).iterdir()).name}")
    assert [each.user_id for each in read(Volumes().forget(world.settings.bot))] == [9]
    await talked(world)
    assert turns(database) == 4


async def test_a_whole_database_is_replaced_by_force_alone(world: World, copies: Path) -> None:
    await talked(world)
    run("save", copies)
    await talked(world)
    refused = run("restore", copies)
    assert (refused.exit_code, "is whole; --force" in refused.stderr) == (2, True)
    assert turns(world.settings.database) == 4
    assert run("restore", copies, "--force").exit_code == 0
    assert turns(world.settings.database) == 2


async def test_nothing_is_put_back_under_a_running_gateway(world: World, copies: Path) -> None:
    await talked(world)
    run("save", copies)
    async with world.gateway():
        refused = run("restore", copies, "--force")
    assert refused.exit_code == 2
    assert "another gateway of this bot is running on it" in refused.stderr


async def test_a_damaged_copy_is_not_put_back_and_a_damaged_database_not_copied(
    world: World, copies: Path
) -> None:
    await talked(world)
    run("save", copies)
    (day,) = (copies / world.settings.bot).iterdir()
    damage(day / DATABASE)
    refused = run("restore", copies, "--force")
    assert (refused.exit_code, "take another --date" in refused.stderr) == (2, True)
    before = (day / DATABASE).read_bytes()
    damage(world.settings.database)
    refused = run("save", copies)
    assert refused.exit_code == 2
    assert str(world.settings.database) in refused.stderr or str(day) in refused.stderr
    assert (day / DATABASE).read_bytes() == before


def test_what_is_not_there_is_named(copies: Path) -> None:
    refused = run("save", copies)
    assert (refused.exit_code, "set BOT and GATEWAY_DATA_DIR" in refused.stderr) == (2, True)
    refused = run("restore", copies)
    assert (refused.exit_code, "holds no copy" in refused.stderr) == (2, True)


async def test_an_unfinished_copy_is_never_offered_and_goes_with_the_next(
    world: World, copies: Path
) -> None:
    await talked(world)
    run("save", copies)
    (day,) = (copies / world.settings.bot).iterdir()
    day.rename(day.with_name(".2020-01-01.part"))  # of a run that was killed
    refused = run("restore", copies, "--force")
    assert (refused.exit_code, "holds no copy" in refused.stderr) == (2, True)
    assert run("save", copies).exit_code == 0
    assert [path.name for path in day.parent.iterdir()] == [day.name]


async def test_an_empty_file_is_no_database(world: World, copies: Path) -> None:
    await talked(world)
    run("save", copies)
    (day,) = (copies / world.settings.bot).iterdir()
    (day / DATABASE).write_bytes(b"")
    refused = run("restore", copies, "--force")
    assert (refused.exit_code, "no database of a gateway" in refused.stderr) == (2, True)
    assert turns(world.settings.database) == 2


async def test_a_restore_that_is_killed_leaves_the_old_database_whole(
    world: World, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what a killed gateway had only in its log."""
    await talked(world)
    run("save", copies)
    running = await world.start()
    world.telegram.put(private("эй"))
    await world.until(lambda: running.metric("messages_sent_total") == 1)
    database = world.settings.database
    killed = {path.name: path.read_bytes() for path in database.parent.glob(f"{database.name}*")}
    await running.kill()
    for name, content in killed.items():
        (database.parent / name).write_bytes(content)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut_off)
        run("restore", copies, "--force")
    assert turns(database) == 4
    assert run("restore", copies, "--force").exit_code == 0
    assert turns(database) == 2


async def test_a_day_without_a_copy_is_refused(world: World, copies: Path) -> None:
    Database(world.settings.database).close()
    run("save", copies)
    refused = run("restore", copies, "--date", "2020-01-01")
    assert (refused.exit_code, "no copy of '2020-01-01'" in refused.stderr) == (2, True)


def test_copies_expire_and_nothing_else_does(tmp_path: Path) -> None:
    for name in ("2026-11-01", "2026-11-15", "notes"):
        (tmp_path / name).mkdir()
    expire(tmp_path, date(2026, 11, 15))
    assert {path.name for path in tmp_path.iterdir()} == {"2026-11-15", "notes"}
