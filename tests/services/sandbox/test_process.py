"""The real process: says where it listens, ends at once when told, refuses bad settings."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from contracts.refusal import BadValue, Refusal
from contracts.settings import from_environment
from services.sandbox.server import serve
from services.sandbox.settings import SandboxSettings
from tests.conftest import PATIENCE
from tests.services.sandbox.conftest import TOKENS, bot, closed, polled

ROOT = Path(__file__).parents[3]
BOTS = f"avtobus:Автобус={TOKENS['avtobus']},polkson={TOKENS['polkson']}"


async def start(environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.sandbox",
        cwd=ROOT,
        env={**os.environ, "SANDBOX_PORT": "0", "LOG_FORMAT": "json", **environment},
        stderr=asyncio.subprocess.PIPE,
    )


async def end(number: signal.Signals) -> None:
    process = await start({"SANDBOX_BOTS": BOTS})
    assert process.stderr
    address = json.loads(await process.stderr.readline())["address"]
    avtobus = bot(address, "avtobus")
    assert (await avtobus.get_me()).first_name == "Автобус"
    polling = asyncio.create_task(avtobus.get_updates(timeout=3600, request_timeout=3600))
    async with aiohttp.ClientSession() as http:
        await polled(http, address, "avtobus")
    process.send_signal(number)
    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0
        assert await polling == []
    assert json.loads((await process.stderr.read()).splitlines()[-1])["event"] == "stopped"
    await closed(avtobus)


async def test_signals_end_it_with_a_long_poll_open() -> None:
    await asyncio.gather(end(signal.SIGTERM), end(signal.SIGINT))


async def test_bad_settings_end_it_with_the_key() -> None:
    process = await start({"SANDBOX_BOTS": "avtobus"})
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode().startswith("error: environment: SANDBOX_BOTS: 'avtobus' is not")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("SANDBOX_BOTS", "", "at least one bot"),
        ("SANDBOX_BOTS", "1=1:x", "is not `name=token`"),
        ("SANDBOX_BOTS", "one=1:x,one=2:y", "a name is given twice"),
        ("SANDBOX_BOTS", "one=1:x,two=1:y", "a bot id is given twice"),
        ("SANDBOX_PEOPLE", " , ", "at least one name"),
        ("SANDBOX_PORT", "70000", "less than or equal to 65535"),
        ("SANDBOX_PRIVACY", "nobody", "no bot"),
        ("SANDBOX_FLOOD", "perhaps", "boolean"),
    ],
)
def test_bad_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, words: str
) -> None:
    monkeypatch.setenv("SANDBOX_BOTS", BOTS)
    monkeypatch.setenv(key, value)
    with pytest.raises(BadValue, match=f"{key}: .*{words}"):
        from_environment(SandboxSettings)


async def test_a_taken_port_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = SandboxSettings(sandbox_bots=BOTS, sandbox_port=taken.getsockname()[1])
        with pytest.raises(Refusal, match="SANDBOX_PORT: cannot listen on"):
            await serve(settings, asyncio.Event())
