"""A gateway killed with -9 again and again while people write: nothing lost, doubles accounted for.

Real processes of gateway and sandbox; generation echoes, so that every answer names its message.
"""

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from benchmarks.load import Crowd
from services.sandbox.server import serving
from services.sandbox.settings import SandboxSettings, sandbox_token
from tests.conftest import PATIENCE, unmeasured
from tests.services.gateway.conftest import FakeGeneration, fake_generation

ROOT = Path(__file__).parents[2]
FOREVER = aiohttp.ClientTimeout(total=None)


class Gateway:
    """The process, killed at random moments and started again at once."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log

    async def start(self) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "services.gateway")
        with self._log.open("a") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                env={**unmeasured(), **self._environment},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    async def started(self) -> asyncio.subprocess.Process:
        """One that is up: before, SIGTERM would end it as any process."""
        before = self._log.stat().st_size
        process = await self.start()
        async with asyncio.timeout(PATIENCE):
            while b'"ready"' not in self._log.read_bytes()[before:]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return process

    async def killed(self, lives: list[float], said: Callable[[], Awaitable[Counter[str]]]) -> None:
        """Killed so many seconds after it began to answer, or before it does."""
        for seconds in lives:
            process, before = await self.start(), await said()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE if random.random() < 0.8 else seconds):
                    while await said() == before:  # noqa: ASYNC110 (a process's)
                        await asyncio.sleep(0.05)
                    await asyncio.sleep(seconds)
            process.kill()
            await process.wait()

    def said_doubled(self) -> int:
        """Messages of which the log says that they may arrive twice."""
        entries = [json.loads(line) for line in self._log.read_text().splitlines()]
        return sum(e["count"] for e in entries if e["event"] == "messages may arrive twice")


@pytest.mark.parametrize(
    ("kills", "people"), [(2, 10), pytest.param(100, 20, marks=pytest.mark.slow)]
)
async def test_killed_under_load_nothing_is_lost_and_doubles_are_logged(
    kills: int, people: int, tmp_path: Path
) -> None:
    manners = "{burst_seconds: 0, typing_speed: 0, hourly_limit: 1000000}"
    (tmp_path / "avtobus.yaml").write_text(f"name: avtobus\ngateway: {manners}\n")
    settings = SandboxSettings(sandbox_port=0, bots_dir=tmp_path)
    written: list[str] = []
    lives = [random.uniform(0.0, 2.0) for _ in range(kills)]

    def texts() -> object:
        while True:
            written.append(f"сообщение {len(written)}.")
            yield written[-1]

    async with (
        serving(settings) as page,
        fake_generation() as generation,
        aiohttp.ClientSession(timeout=FOREVER) as session,
    ):
        gateway = Gateway(_environment(page, generation, tmp_path), tmp_path / "log")
        crowd = Crowd(session, page, texts(), (0.05, 0.4))  # type: ignore[arg-type]
        # who in the group guesses wrong which answer is theirs soon writes again
        writing = asyncio.create_task(crowd.run(people, 4.0 * (kills + 1), patience=5.0))
        await gateway.killed(lives, lambda: said(session, page))
        last = await gateway.started()
        await writing
        due = {f"эхо: {text}" for text in written}
        with suppress(TimeoutError):  # what is missing then is told below
            async with asyncio.timeout(PATIENCE):
                while not due <= set(await said(session, page)):  # noqa: ASYNC110 (a process's)
                    await asyncio.sleep(0.1)
        last.send_signal(signal.SIGTERM)
        assert await last.wait() == 0
        sent = await said(session, page)

    answers = {text: sent[f"эхо: {text}"] for text in written}
    doubled = sum(count - 1 for count in answers.values() if count > 1)
    print(f"{kills} kills, {len(written)} messages, {doubled} doubled, "
          f"{gateway.said_doubled()} logged as perhaps doubled")  # fmt: skip
    assert [text for text, count in answers.items() if count == 0] == []
    assert doubled <= gateway.said_doubled()
    assert sum(sent.values()) == len(written) + doubled


async def said(session: aiohttp.ClientSession, page: str) -> Counter[str]:
    """What the bot has said, and how often."""
    async with session.get(f"{page}/admin/log") as response:
        return Counter(each["text"] for each in (await response.json())["sent"])


def _environment(page: str, generation: FakeGeneration, folder: Path) -> dict[str, str]:
    return {
        "BOT": "avtobus",
        "BOTS_DIR": str(folder),
        "TELEGRAM_TOKEN": sandbox_token("avtobus"),
        "TELEGRAM_API": page,
        "GATEWAY_DATA_DIR": str(folder),
        "GENERATION_ADDRESS": generation.address,
        "METRICS_PORT": "0",
        "GATEWAY_DELAYS": "0",
        "LOG_FORMAT": "json",
    }
