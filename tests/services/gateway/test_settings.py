"""Settings, bot.yaml's section, the database and the process."""

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from contracts.bot_file import BotFile
from contracts.refusal import Refusal
from contracts.settings import from_environment
from services.gateway.bot_api import open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.settings import GatewaySettings
from tests.services.gateway.conftest import World, settings_for
from tests.services.gateway.telegram import TOKEN, private

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("token", ["", "abc", "12345", "1:", ":abc", "1:a b", "бот:секрет"])
async def test_a_malformed_token_is_refused_unshown(tmp_path: Path, token: str) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_token=token)
    with pytest.raises(Refusal, match="TELEGRAM_TOKEN: not a bot's token") as refused:
        async with open_bot_api(settings):
            pass
    assert not token or token not in str(refused.value)


async def test_a_token_read_from_a_file_may_end_in_a_newline(tmp_path: Path) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_token=f"{TOKEN}\n")
    async with open_bot_api(settings):
        assert TOKEN not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, "TELEGRAM_TOKEN: is required"),
        ({"TELEGRAM_TOKEN": TOKEN, "TELEGRAM_API": "api.telegram.org"}, "TELEGRAM_API"),
    ],
)
def test_an_environment_that_will_not_do_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], why: str
) -> None:
    monkeypatch.delenv("TELEGRAM_TOKEN", raising=False)
    for name, value in {"BOT": "avtobus", **environment}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refusal, match=why) as refused:
        from_environment(GatewaySettings)
    assert TOKEN not in str(refused.value)


async def test_a_proxy_that_cannot_be_used_is_refused_unshown(tmp_path: Path) -> None:
    settings = settings_for("http://x", "y", tmp_path, telegram_proxy="nonsense:secret")
    with pytest.raises(Refusal, match="TELEGRAM_PROXY") as refused:
        async with open_bot_api(settings):
            pass
    assert "secret" not in str(refused.value)


def section(folder: Path, text: str) -> GatewayConfig:
    path = folder / "b.yaml"
    path.write_text(f"name: b\ngateway: {{{text}}}\n", encoding="utf-8")
    return BotFile.read(path).section("gateway", GatewayConfig)


@pytest.mark.parametrize(
    ("written", "hours"), [("23-8", (1380, 480)), ("'22:30–7:15'", (1350, 435)), ("off", None)]
)
def test_how_a_new_chat_begins(tmp_path: Path, written: str, hours: object) -> None:
    chat = section(tmp_path, f"insanity: true, chattiness: 15, quiet: {written}").new_chat
    assert (chat.insane, chat.chattiness, chat.quiet) == (True, 15, hours)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("names: [Б], bot_dept: 1", r"gateway\.bot_dept: unknown key"),
        ("chattiness: 101", "less than or equal to 100"),
        ("quiet: night", "hours such as 23-8"),
    ],
)
def test_the_bot_files_section_is_strict(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        section(tmp_path, text)


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


async def test_the_process_ends_cleanly_or_with_code_2(world: World, tmp_path: Path) -> None:
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
