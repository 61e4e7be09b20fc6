"""Everything at once for half an hour, with no hand to help: both bots answer twenty people, a
version is published every two minutes, the engine is stopped and killed, the disk fills up twice.

Real processes on a real, small disk. `SOAK_MINUTES` makes it shorter; `SOAK_PICTURE` is where the
picture of memory and file sizes goes.
"""

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import yaml

from benchmarks.faults import republish
from benchmarks.load import Crowd
from benchmarks.support.generation_service import Served, anonymous_mb, served
from contracts.model_version import BotModels
from tests.conftest import SmallDisk, free_address
from tests.services.gateway.conftest import TEXTS
from tests.services.sandbox.conftest import TOKENS, running
from training_jobs.sample_bots.__main__ import FOLDER, publish_kept

ROOT = Path(__file__).parents[2]
MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
PICTURE = os.environ.get("SOAK_PICTURE")
DISK_MB, FULL_SECONDS, PUBLISH_SECONDS, SAMPLE_SECONDS = 128, 40.0, 120.0, 5.0
LONGEST_WAIT = 120.0
"""Seconds after which somebody writes again, and in which the last messages are answered."""
GROWTH = 1.5
"""Most that memory may grow from the first third of the time to the last."""


@dataclass
class Box:
    """A small server: its disk, its processes, and what was measured of them."""

    disk: SmallDisk
    memory: dict[str, Callable[[], float]] = field(default_factory=dict)
    samples: list[dict[str, float]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def models(self, bot: str) -> BotModels:
        return BotModels(self.disk.folder / "models" / bot)

    def sample(self, seconds: float) -> None:
        """Note the memory of each part, and the size of each kind of file, in MB."""
        found = {"seconds": seconds, "disk used": shutil.disk_usage(self.disk.folder).used / 1e6}
        for name, measure in self.memory.items():
            with suppress(OSError, ValueError):  # the engine has died just now
                found[f"memory of {name}"] = measure()
        for bot in TOKENS:
            for path in (self.disk.folder / bot).glob("gateway.sqlite3*"):
                with suppress(FileNotFoundError):
                    found[f"file {bot}/{path.name}"] = path.stat().st_size / 1e6
        self.samples.append(found)

    def growth(self, name: str) -> float:
        """How often the most memory of the first third goes into the most of the last."""
        values = [each[name] for each in self.samples if name in each]
        third = max(1, len(values) // 3)
        return max(values[-third:]) / max(values[:third])


@asynccontextmanager
async def gateway(box: Box, bot: str, reached: dict[str, str], log: Path) -> AsyncIterator[None]:
    """A bot's gateway inside the block: it must not have ended before, and ends well."""
    environment = {
        "BOT": bot,
        "TELEGRAM_TOKEN": TOKENS[bot],
        "GATEWAY_DATA_DIR": str(box.disk.folder),
    }
    fixed = {"DATA_DIR": str(box.disk.folder / "data"), "GATEWAY_DELAYS": "0", "LOG_FORMAT": "json"}
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.gateway"),
            env={**os.environ, **reached, **environment, **fixed},
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )
    box.memory[f"the gateway of {bot}"] = partial(anonymous_mb, process.pid)
    try:
        yield
        assert process.returncode is None
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
    assert process.returncode == 0


async def publish_again_and_again(box: Box) -> None:
    for bot in _for_ever(*TOKENS):
        await asyncio.sleep(PUBLISH_SECONDS / 2)
        with suppress(OSError):  # the disk is full
            await asyncio.to_thread(republish, box.models(bot), False)
            box.done["versions published"] += 1


async def hurt_the_engine(box: Box, service: Served) -> None:
    """Stop or kill it at random moments; stopped, it has to be noticed."""
    while True:
        await asyncio.sleep(random.uniform(30.0, 120.0))
        number = random.choice((signal.SIGSTOP, signal.SIGKILL))
        os.kill(service.engine(), number)
        box.done[f"engine: {number.name}"] += 1


async def fill_the_disk(box: Box, seconds: float) -> None:
    """Twice, for a while."""
    for _ in range(2):
        await asyncio.sleep(seconds / 3 - FULL_SECONDS)
        await asyncio.to_thread(box.disk.fill)
        await asyncio.sleep(FULL_SECONDS)
        box.disk.free()
        box.done["disk filled"] += 1


async def watch(box: Box) -> None:
    began = time.monotonic()
    while True:
        box.sample(time.monotonic() - began)
        await asyncio.sleep(SAMPLE_SECONDS)


def _for_ever(*items: str) -> Iterator[str]:
    while True:
        yield from items


def left_and_answered(box: Box, bot: str) -> tuple[int, int]:
    """Return how many updates and messages of a bot are not done, and how many it answered."""
    with closing(sqlite3.connect(box.disk.folder / bot / "gateway.sqlite3")) as database:
        query = """SELECT (SELECT count(*) FROM updates WHERE state != 'done')
            + (SELECT count(*) FROM outbox WHERE state != 'sent'),
            (SELECT count(DISTINCT update_id) FROM outbox WHERE spoken)"""
        left, answered = database.execute(query).fetchone()
        return left, answered


def draw(box: Box, path: str) -> None:
    """Draw memory, files and the disk, a curve for each that was measured."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, sharex=True, figsize=(9, 9))
    for kind, axis in zip(("memory", "file", "disk"), axes, strict=True):
        for name in sorted({name for each in box.samples for name in each if kind in name}):
            shown = [(each["seconds"] / 60, each[name]) for each in box.samples if name in each]
            axis.plot(*zip(*shown, strict=True), label=name)
        axis.set(ylabel="MB", ylim=(0, None), xlabel="minutes")
        axis.legend(fontsize=7, loc="upper left", framealpha=0.5)
    figure.savefig(path)


@pytest.mark.slow
@pytest.mark.parametrize("small_disk", [DISK_MB], indirect=True)
async def test_half_an_hour_of_everything_loses_nothing(
    small_disk: SmallDisk, tmp_path: Path
) -> None:
    box, disk, bots = Box(small_disk), small_disk.folder, tmp_path / "bots"
    bots.mkdir()
    # without a name no bot answers what the other says
    manners = {"hourly_limit": 10**9, "burst_seconds": 0, "typing_speed": 0, "names": []}
    for bot in TOKENS:
        settings = yaml.safe_load((ROOT / f"k8s/bots/{bot}/bot.yaml").read_text())
        settings["gateway"] |= {**manners, "texts": {"unavailable": TEXTS.unavailable}}
        (bots / f"{bot}.yaml").write_text(yaml.safe_dump(settings, allow_unicode=True))
        publish_kept(bot, FOLDER / bot, box.models(bot))
    written: list[str] = []

    def texts() -> Iterator[str]:
        while True:
            written.append(f"Сообщение {len(written)}, что скажешь?")
            yield written[-1]

    seconds = 60 * MINUTES
    async with running(time.time) as sandbox, AsyncExitStack() as gateways:
        with served(bots, disk / "models", STATE_DIR=str(disk)) as service:
            box.memory["generation"] = service.anonymous_mb
            for bot in TOKENS:
                port = free_address().rpartition(":")[2]
                reached = {"TELEGRAM_API": sandbox.url, "GENERATION_ADDRESS": service.address}
                reached |= {"METRICS_PORT": port, "BOTS_DIR": str(bots)}
                await gateways.enter_async_context(
                    gateway(box, bot, reached, tmp_path / f"{bot}.log")
                )
            await sandbox.polled(*TOKENS)
            crowd = Crowd(sandbox.http, sandbox.url, texts())
            ills = [
                asyncio.create_task(each)
                for each in (
                    watch(box),
                    publish_again_and_again(box),
                    hurt_the_engine(box, service),
                    fill_the_disk(box, seconds),
                )
            ]
            outcome = await crowd.run(20, seconds, patience=LONGEST_WAIT)
            for each in ills:
                each.cancel()
            failed = await asyncio.gather(*ills, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError | None) for each in failed), failed
            async with asyncio.timeout(LONGEST_WAIT):
                while any(left_and_answered(box, bot)[0] for bot in TOKENS):  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
            assert service.process.poll() is None
            await gateways.aclose()
        sent = await sandbox.sent()

    if PICTURE:
        draw(box, PICTURE)
    answered = sum(left_and_answered(box, bot)[1] for bot in TOKENS)
    growth = {name: round(box.growth(f"memory of {name}"), 2) for name in box.memory}
    slowest = max(outcome.times)
    print(f"{len(written)} written, {answered} answered, {outcome.doubled} doubled, the slowest"
          f" after {slowest:.0f} s; {dict(box.done)}; memory grew by {growth}")  # fmt: skip
    assert answered == len(written)
    assert TEXTS.unavailable not in sent
    assert box.done["disk filled"] == 2
    assert all(each <= GROWTH for each in growth.values())
