"""What a message costs the gateway, and whether its process grows with the messages.

load     200 private chats, 30 messages a second in all, after a warm-up: CPU and transactions a
         message, the most memory, and the gateway's own delay: from handing an update out to its
         answer, without generation
growth   so many messages as fast as they are taken: memory and the size of the database

`python -m benchmarks.gateway --json FILE`; with `--growth 100000` also the second. With
`--other DIR` the gateway of another working tree (an older checkout with its gRPC stubs) is
measured by turns with ours, and is what ours is compared to. The gateway is the real process,
Telegram and generation are stand-ins. CPU depends on the machine, the delay on how fast its disk
flushes. Ends with 1 when a bar is missed.
"""

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.support.gateway_process import GatewayProcess, running_gateway
from benchmarks.support.report import JsonOption, Line, at_most, median, quantile, report
from tests.services.gateway.telegram import private

ROOT = Path(__file__).parents[1]
CHATS, RATE, WARM_UP, ROUNDS = 200, 30, 3.0, 3
OUTSTANDING = 400
"""Messages of `growth` that are not answered yet, at most."""
STUCK = 60.0
"""Seconds without an answer after which a run is given up."""
CPU, MEMORY, LOST = "CPU ms a message", "most memory, MB", "messages without an answer"
LIMITS = {
    CPU: 5.0,
    "own delay p99, ms": 50.0,
    LOST: 0.0,
    "growth: memory at the end over that at 20 % of the messages": 1.1,
}
COMPARED = (CPU, MEMORY)
"""What must be no more than the other working tree's."""
NUMBERS = itertools.count()
Figures = dict[str, float]


def write(gateway: GatewayProcess) -> str:
    """Write the next message, in the next chat."""
    number = next(NUMBERS)
    text = f"Сообщение {number}: стоим на остановке, автобуса всё нет."
    gateway.telegram.put(private(text, 1 + number % CHATS, date=int(time.time())))
    return text


async def write_for(gateway: GatewayProcess, seconds: float) -> list[str]:
    """Write evenly at the rate; returns the texts when the time is over."""
    texts, began = list[str](), time.perf_counter()
    for number in range(1, round(RATE * seconds) + 1):
        texts.append(write(gateway))
        await asyncio.sleep(began + number / RATE - time.perf_counter())
    return texts


async def load(tree: Path, folder: Path, seconds: float, generation: float) -> Figures:
    """CPU is that of the time in which the messages are written, with what is on the way then."""
    delays: dict[str, float] = {}
    async with running_gateway(tree, folder, generation) as gateway:
        gateway.journeys.answered = delays.__setitem__
        await write_for(gateway, WARM_UP)
        cpu, commits = gateway.cpu_ms(), gateway.commits()
        texts = await write_for(gateway, seconds)
        cpu, commits = gateway.cpu_ms() - cpu, gateway.commits() - commits
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK):
                while not delays.keys() >= set(texts):  # noqa: ASYNC110 (the stand-in's)
                    await asyncio.sleep(0.1)
        memory = gateway.rss_mb("VmHWM")
    own = [1000 * delays[text] for text in texts if text in delays] or [float("inf")]
    return {
        CPU: cpu / len(texts),
        MEMORY: memory,
        "writing transactions a message": commits / len(texts),
        "own delay p50, ms": quantile(own, 0.5),
        "own delay p99, ms": quantile(own, 0.99),
        LOST: len(set(texts) - delays.keys()),
    }


async def growth(tree: Path, folder: Path, count: int) -> Figures:
    """Raises TimeoutError when no answer comes any more."""
    free, answered = asyncio.Semaphore(OUTSTANDING), itertools.count(1)
    rss: list[float] = []

    def free_slot(_text: str, _delay: float) -> None:
        free.release()
        if next(answered) in (max(1, count // 5), count):
            rss.append(gateway.rss_mb())

    async def take(slots: int) -> None:
        async with asyncio.timeout(STUCK):
            for _ in range(slots):
                await free.acquire()

    async with running_gateway(tree, folder, 0.0) as gateway:
        gateway.journeys.answered = free_slot
        cpu, began = gateway.cpu_ms(), time.perf_counter()
        for _ in range(count):
            await take(1)
            write(gateway)
        await take(OUTSTANDING)
        cpu, seconds = gateway.cpu_ms() - cpu, time.perf_counter() - began
        size = gateway.database_mb()
    return {
        "growth: messages a second": count / seconds,
        "growth: CPU ms a message": cpu / count,
        "growth: memory at the end, MB": rss[-1],
        "growth: memory at the end over that at 20 % of the messages": rss[-1] / rss[0],
        "growth: database, MB": size,
    }


async def measure(
    tree: Path, root: Path, seconds: float, generation: float, messages: int
) -> Figures:
    """Measure one working tree once; `root` is an empty folder."""
    found: Figures = {}
    if seconds:
        (root / "load").mkdir()
        found |= await load(tree, root / "load", seconds, generation)
    if messages:
        (root / "growth").mkdir()
        found |= await growth(tree, root / "growth", messages)
    return found


def lines(ours: Figures, theirs: Figures) -> Iterator[Line]:
    """Compare with the other working tree where there is one, else with the limits."""
    for name, value in ours.items():
        if name in theirs and name != LOST:
            yield Line(name, value, theirs[name], 1.0 if name in COMPARED else None, at_most=True)
        elif name in LIMITS:
            yield at_most(name, value, LIMITS[name])
        else:
            yield Line(name, value)


def main(
    json: JsonOption = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long load is; 0 is not.")] = 30,
    generation: Annotated[float, typer.Option(min=0, help="Seconds a reply takes in load.")] = 0.3,
    messages: Annotated[
        int, typer.Option("--growth", min=0, help="Messages of growth, 100000 say; 0 is none.")
    ] = 0,
    other: Annotated[
        Path | None, typer.Option(help="Another working tree, whose gateway ours is compared to.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side with --other.")] = ROUNDS,
) -> None:
    """Measure, print a table, and end with 1 when a bar is missed."""
    trees = [ROOT] if other is None else [ROOT, other.resolve()]
    found: dict[Path, list[Figures]] = {tree: [] for tree in trees}
    for _ in range(1 if other is None else rounds):
        for tree in trees:
            with tempfile.TemporaryDirectory() as folder:
                figures = measure(tree, Path(folder), seconds, generation, messages)
                found[tree].append(asyncio.run(figures))
    sides = [
        {name: median([each[name] for each in all_rounds]) for name in all_rounds[0]}
        for all_rounds in found.values()
    ]
    report(lines(sides[0], sides[1] if other else {}), json)


if __name__ == "__main__":
    typer.run(main)
