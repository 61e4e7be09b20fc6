"""A gateway killed with -9 again and again while people write: nothing lost, doubles accounted for.

Real processes of gateway and sandbox; generation echoes, so that every answer names its message.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from benchmarks.load import Crowd
from benchmarks.support.gateway_process import gateway_environment
from tests.conftest import PATIENCE, open_to_others
from tests.services.gateway.generation import fake_generation
from tests.services.sandbox.conftest import TOKENS, running

ROOT = Path(__file__).parents[2]


class Gateway:
    """The process, killed at random moments and started again at once."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment, self._log = environment, log

    async def start(self) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "services.gateway")
        environment = {**os.environ, **self._environment}
        with self._log.open("a") as log:
            return await asyncio.create_subprocess_exec(
                *command, env=environment, cwd=ROOT, stdout=log, stderr=log, umask=0o022
            )

    async def start_and_wait(self) -> asyncio.subprocess.Process:
        """Start one and wait until it is up: before, SIGTERM would end it as any process."""
        before = self._log.stat().st_size
        process = await self.start()
        async with asyncio.timeout(PATIENCE):
            while b'"ready"' not in self._log.read_bytes()[before:]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return process

    async def kill_again_and_again(
        self, lives: list[float], sent: Callable[[], Awaitable[list[str]]]
    ) -> None:
        """Kill each process so many seconds after it began to answer, or before it does."""
        for seconds in lives:
            process, before = await self.start(), await sent()
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE if random.random() < 0.8 else seconds):
                    while await sent() == before:  # noqa: ASYNC110 (a process's)
                        await asyncio.sleep(0.05)
                    await asyncio.sleep(seconds)
            process.kill()
            await process.wait()

    def logged_doubles(self) -> int:
        """Messages of which the log says that they may arrive twice."""
        entries = [json.loads(line) for line in self._log.read_text().splitlines()]
        return sum(e["count"] for e in entries if e["event"] == "messages may arrive twice")


@pytest.mark.parametrize(
    ("kills", "people"), [(2, 10), pytest.param(100, 20, marks=pytest.mark.slow)]
)
async def test_killed_under_load_nothing_is_lost_and_doubles_are_logged(
    kills: int, people: int, tmp_path: Path
) -> None:
    (tmp_path / "avtobus.yaml").write_text("name: avtobus\n")
    written: list[str] = []
    lives = [random.uniform(0.0, 2.0) for _ in range(kills)]

    def texts() -> Iterator[str]:
        while True:
            written.append(f"сообщение {len(written)}.")
            yield written[-1]

    async with running(time.time, ["avtobus"]) as sandbox, fake_generation() as generation:
        reached = sandbox.url, TOKENS["avtobus"], generation.address
        gateway = Gateway(gateway_environment(*reached, tmp_path), tmp_path / "log")
        crowd = Crowd(sandbox.http, sandbox.url, texts(), (0.05, 0.4))
        # who in the group guesses wrong which answer is theirs soon writes again
        writing = asyncio.create_task(crowd.run(people, 4.0 * (kills + 1), patience=5.0))
        await gateway.kill_again_and_again(lives, sandbox.sent)
        last = await gateway.start_and_wait()
        await writing
        due = {f"эхо: {text}" for text in written}
        with suppress(TimeoutError):  # what is missing then is shown below
            async with asyncio.timeout(PATIENCE):
                while not due <= set(await sandbox.sent()):  # noqa: ASYNC110 (a process's)
                    await asyncio.sleep(0.1)
        assert not open_to_others(tmp_path / "avtobus")
        last.send_signal(signal.SIGTERM)
        assert await last.wait() == 0
        sent = Counter(await sandbox.sent())

    answers = {text: sent[f"эхо: {text}"] for text in written}
    doubled = sum(count - 1 for count in answers.values() if count > 1)
    print(f"{kills} kills, {len(written)} messages, {doubled} doubled, "
          f"{gateway.logged_doubles()} logged as perhaps doubled")  # fmt: skip
    # what waits for so long that its writer goes on meanwhile is answered with that
    unanswered = {text for text, count in answers.items() if count == 0}
    with closing(sqlite3.connect(tmp_path / "avtobus" / "gateway.sqlite3")) as database:
        joined = database.execute("SELECT text FROM turns WHERE reason = 'burst'").fetchall()
    print(f"{len(unanswered)} answered with a later message")
    assert unanswered <= {text for (text,) in joined}
    assert doubled <= gateway.logged_doubles()
    assert sum(sent.values()) == len(written) - len(unanswered) + doubled
