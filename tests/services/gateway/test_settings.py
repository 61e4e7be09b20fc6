"""Settings, bot.yaml's section, the database and the process."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from contracts.bot_file import BotFile
from contracts.refusal import BadValue, Refusal
from contracts.settings import from_environment
from services.gateway.config import GatewayConfig
from services.gateway.database import Database, migrate
from services.gateway.errors import TokenRefused
from services.gateway.server import telegram
from services.gateway.settings import GatewaySettings, token_of
from services.gateway.store import OFFSET_LIVES, Store
from services.gateway.tables import Base
from tests.services.gateway.conftest import World, settings_for
from tests.services.gateway.telegram import TOKEN, private

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "token", ["", "abc", "12345", "1:", ":abc", "1:a b", "бот:секрет", "1:a/b"]
)
def test_a_malformed_token_is_refused_unshown(tmp_path: Path, token: str) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_token=token)
    with pytest.raises(TokenRefused) as refused:
        token_of(settings)
    assert not token or token not in str(refused.value)


def test_a_token_read_from_a_file_may_end_in_a_newline(tmp_path: Path) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_token=f"{TOKEN}\n")
    assert token_of(settings) == TOKEN
    assert TOKEN not in repr(settings)


def test_a_missing_token_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELEGRAM_TOKEN", raising=False)
    monkeypatch.setenv("BOT", "avtobus")
    with pytest.raises(BadValue, match="TELEGRAM_TOKEN: is required"):
        from_environment(GatewaySettings)


def test_a_bad_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("BOT", "avtobus")
    monkeypatch.setenv("TELEGRAM_API", "api.telegram.org")
    with pytest.raises(BadValue, match="TELEGRAM_API") as refused:
        from_environment(GatewaySettings)
    assert TOKEN not in str(refused.value)


async def test_a_proxy_that_cannot_be_used_is_refused_unshown(tmp_path: Path) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_proxy="nonsense:secret")
    with pytest.raises(Refusal, match="TELEGRAM_PROXY") as refused:
        async with telegram(settings):
            pass
    assert "secret" not in str(refused.value)


def test_the_bot_files_section_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("name: b\ngateway: {names: [Б], bot_dept: 1}\n", encoding="utf-8")
    with pytest.raises(BadValue, match=r"gateway\.bot_dept: unknown key"):
        BotFile.read(path).section("gateway", GatewayConfig)


def test_migrations_build_what_the_tables_say(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.sqlite3'}")
    try:
        with engine.begin() as connection:
            migrate(connection)
        with engine.begin() as connection:
            migrate(connection)
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Base.metadata) == []
    finally:
        engine.dispose()


async def test_the_database_is_durable(tmp_path: Path) -> None:
    path = tmp_path / "салон и парк" / "x.sqlite3"
    database = Database.open(path)
    mode = database.connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
    level = database.connection.exec_driver_sql("PRAGMA synchronous").scalar_one()
    database.close()
    assert (mode, level) == ("wal", 2)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    path.write_text("not a database, whatever its name says\n" * 100, encoding="utf-8")
    with pytest.raises(Refusal, match="not a usable database"):
        Database.open(path)


async def test_an_offset_is_not_sent_after_a_quiet_week(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    assert await store.offset(0.0) is None
    await store.take([{"update_id": 900}], 0.0)
    assert await store.offset(OFFSET_LIVES) == 901
    assert await store.offset(OFFSET_LIVES + 1) is None
    await store.take([{"update_id": 5}], OFFSET_LIVES + 2)
    assert await store.offset(OFFSET_LIVES + 3) == 6
    database.close()


async def test_an_update_of_an_unknown_kind_is_kept_and_passed_over(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "x.sqlite3")
    store = Store(database.connection)
    await store.take([{"update_id": 1, "poll": {}}, {"update_id": 2, "message": "?"}], 0.0)
    assert await store.waiting() == [(0, 1), (0, 2)]
    database.close()


async def _process(world: World, folder: Path, token: str) -> asyncio.subprocess.Process:
    """The real process against the fake servers."""
    bots = folder / "bots"
    bots.mkdir(exist_ok=True)
    (bots / "avtobus.yaml").write_text("name: avtobus\n", encoding="utf-8")
    environment = {
        **os.environ,
        "TELEGRAM_API": world.telegram.url,
        "TELEGRAM_TOKEN": token,
        "BOT": "avtobus",
        "BOTS_DIR": str(bots),
        "GATEWAY_DATA_DIR": str(folder / token.split(":")[1]),
        "GENERATION_ADDRESS": world.generation.address,
        "METRICS_PORT": "0",
    }
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_the_process_ends_cleanly_on_sigterm_and_with_code_2_on_a_wrong_token(
    world: World, tmp_path: Path
) -> None:
    """Both at once: starting one takes seconds."""
    wrong = "4242:WRONG-one"
    right, refused = [await _process(world, tmp_path, token) for token in (TOKEN, wrong)]
    world.telegram.put(private("эй"))
    await world.until(lambda: bool(world.telegram.sent))
    right.send_signal(signal.SIGTERM)
    out, err = (text.decode() for text in await right.communicate())
    assert (right.returncode, out) == (0, "")
    assert "stopped" in err
    _, said = (text.decode() for text in await refused.communicate())
    assert refused.returncode == 2
    assert said.strip().splitlines()[-1].startswith("error: TELEGRAM_TOKEN:")
    for text in (err, said):
        assert "Traceback" not in text
        assert TOKEN not in text
        assert wrong not in text
    path = tmp_path / TOKEN.split(":")[1] / "avtobus" / "gateway.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT state FROM outbox").fetchall() == [("sent",)]
