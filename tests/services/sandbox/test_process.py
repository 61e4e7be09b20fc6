"""The real process logs where it listens and ends at once at a signal; what it refuses."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from aiogram.exceptions import TelegramConflictError

from contracts.refusal import Refusal
from services.sandbox.server import serving
from tests.conftest import PATIENCE
from tests.services.sandbox.conftest import TOKENS, bot, closed, sandbox_settings

ROOT = Path(__file__).parents[3]


async def end(number: signal.Signals) -> None:
    token = TOKENS["avtobus"]
    own = {"SANDBOX_PORT": "0", "LOG_FORMAT": "json", "SANDBOX_TOKENS": f"avtobus={token}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.sandbox"),
        cwd=ROOT,
        env={**os.environ, **own},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    first = await process.stderr.readline()
    address = json.loads(first)["address"]
    avtobus = bot(address, "avtobus")
    assert (await avtobus.get_me()).first_name == "Avtobus"
    polls = [
        asyncio.create_task(avtobus.get_updates(timeout=3600, request_timeout=3600))
        for _ in range(2)
    ]
    async with asyncio.timeout(PATIENCE):
        # one has taken the other's place, and so is there
        [ended], [polling] = await asyncio.wait(polls, return_when=asyncio.FIRST_COMPLETED)
        assert isinstance(ended.exception(), TelegramConflictError)
        process.send_signal(number)
        assert await process.wait() == 0
        assert await polling == []
    log = await process.stderr.read()
    assert json.loads(log.splitlines()[-1])["event"] == "stopped"
    assert token.encode() not in first + log
    await closed(avtobus)


async def test_signals_end_it_with_a_long_poll_open() -> None:
    await asyncio.gather(end(signal.SIGTERM), end(signal.SIGINT))


async def test_bad_bots_and_a_taken_port_are_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for settings, words in (
            ({"sandbox_tokens": ""}, "SANDBOX_TOKENS: wants bot=token, comma-sep.*d$"),
            (
                {"sandbox_tokens": "polkson=secret"},
                "SANDBOX_TOKENS: wants bot=token, comma-sep.*d$",
            ),
            ({"sandbox_port": taken.getsockname()[1]}, "SANDBOX_PORT: cannot listen on .*in use"),
        ):
            with pytest.raises(Refusal, match=words):
                async with serving(sandbox_settings(**settings)):
                    pass
