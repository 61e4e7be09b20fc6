"""What a message costs the gateway, and whether its process grows with them.

load     200 private chats, 30 messages a second in all, after a warm-up: CPU a message, and the
         gateway's own delay: from handing an update out to its answer, without generation
growth   so many messages as fast as they are taken: memory, and what retention leaves on disk

`python -m benchmarks.gateway --json FILE`; with `--growth 100000` also the second. The
gateway is the real process, Telegram and generation are stand-ins (timed.py). CPU depends on the
machine, the delay on how fast its disk flushes. Ends with 1 when a bar is missed.
"""

import asyncio
import itertools
import json as jsonlib
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bots import quantile
from benchmarks.timed import Timed, database, timed
from services.gateway.database import Database
from services.gateway.store import Store
from tests.services.gateway.telegram import private

CHATS, RATE, WARM_UP = 200, 30, 3.0
OUTSTANDING = 400
"""Messages of `growth` that are not answered yet, at most."""
STUCK = 60.0
"""Seconds without an answer after which a run is given up."""
DAYS, LATER = 30, 31 * 86_400.0
"""Retention, and seconds that are as if gone by when it is looked at."""
MOST_CPU_MS, MOST_DELAY_MS, MOST_GROWTH = 5.0, 50.0, 10.0
LEFT = {"turns": 0, "outbox": 0, "updates": 1}
"""Rows after retention: the newest update tells the next one to ask for."""
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    bar: str = ""
    ok: bool = True


def below(name: str, value: float, limit: float) -> Figure:
    return Figure(name, value, f"< {limit:g}", value < limit)


def exactly(name: str, value: float, wanted: float) -> Figure:
    return Figure(name, value, f"= {wanted:g}", value == wanted)


def write(there: Timed) -> str:
    """The next message, in the next chat."""
    number = next(NUMBERS)
    text = f"Сообщение {number}: стоим на остановке, автобуса всё нет."
    there.telegram.put(private(text, 1 + number % CHATS, date=int(time.time())))
    return text


async def write_for(there: Timed, seconds: float) -> list[str]:
    """Write evenly at the rate; returns the texts when the time is over."""
    texts, began = list[str](), time.perf_counter()
    for number in range(1, round(RATE * seconds) + 1):
        texts.append(write(there))
        await asyncio.sleep(began + number / RATE - time.perf_counter())
    return texts


async def load(folder: Path, seconds: float, generation: float) -> list[Figure]:
    """CPU is that of the time in which the messages are written, with what is on the way then."""
    delays: dict[str, float] = {}
    async with timed(folder, generation) as there:
        there.ways.answered = delays.__setitem__
        await write_for(there, WARM_UP)
        before = there.cpu_ms()
        texts = await write_for(there, seconds)
        cpu = there.cpu_ms() - before
        patience = time.perf_counter() + STUCK
        while not delays.keys() >= set(texts):
            if time.perf_counter() > patience:
                break
            await asyncio.sleep(0.1)
    own = [1000 * delays[text] for text in texts if text in delays] or [float("inf")]
    return [
        below("CPU ms a message", cpu / len(texts), MOST_CPU_MS),
        Figure("own delay p50, ms", quantile(own, 0.5)),
        below("own delay p99, ms", quantile(own, 0.99), MOST_DELAY_MS),
        exactly("messages without an answer", len(set(texts) - delays.keys()), 0),
    ]


async def growth(folder: Path, count: int) -> list[Figure]:
    """Raises TimeoutError when no answer comes any more."""
    free, answered = asyncio.Semaphore(OUTSTANDING), itertools.count(1)
    rss: list[float] = []

    def one_more(_text: str, _delay: float) -> None:
        free.release()
        if next(answered) in (max(1, count // 5), count):
            rss.append(there.rss_mb())

    async def take(slots: int) -> None:
        async with asyncio.timeout(STUCK):
            for _ in range(slots):
                await free.acquire()

    async with timed(folder, 0.0) as there:
        there.ways.answered = one_more
        before, began = there.cpu_ms(), time.perf_counter()
        for _ in range(count):
            await take(1)
            write(there)
        await take(OUTSTANDING)
        cpu, took = there.cpu_ms() - before, time.perf_counter() - began
    return [
        Figure("messages a second", count / took),
        Figure("CPU ms a message, none waiting for generation", cpu / count),
        Figure("RSS MB at 20 % of the messages", rss[0]),
        Figure("RSS MB at 100 %", rss[-1]),
        below("RSS growth between, %", 100 * (rss[-1] / rss[0] - 1), MOST_GROWTH),
        *await retention(database(folder)),
    ]


async def retention(path: Path) -> list[Figure]:
    """What the database holds, and what of it is left when its time is over."""
    size, held = megabytes(path), rows(path)
    opened = Database.open(path)
    await Store(opened.connection).prune(time.time() + LATER, DAYS)
    opened.close()
    left = rows(path)
    return [
        Figure("database MB", size),
        *(Figure(f"rows of {table}", number) for table, number in held.items()),
        Figure("database MB after retention", megabytes(path)),
        *(exactly(f"rows of {table} after it", left[table], wanted)
          for table, wanted in LEFT.items()),
    ]  # fmt: skip


def rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as db:
        return {
            table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in LEFT
        }


def megabytes(path: Path) -> float:
    """Its log beside it included."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*")) / 1e6


def report(figures: list[Figure], path: Path | None) -> None:
    """Print a table; write the figures as a list where a path is given."""
    table = Table("figure", "value", "bar", "ok")
    for each in figures:
        table.add_row(each.name, f"{each.value:,.2f}", each.bar, str(each.ok) if each.bar else "")
    Console().print(table)
    if path:
        told = jsonlib.dumps([asdict(each) for each in figures], indent=1, ensure_ascii=False)
        path.write_text(told + "\n", encoding="utf-8")


async def measure(root: Path, seconds: float, generation: float, messages: int) -> list[Figure]:
    folders = root / "load", root / "growth"
    for folder in folders:
        folder.mkdir()
    figures = await load(folders[0], seconds, generation) if seconds else []
    return figures + (await growth(folders[1], messages) if messages else [])


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long load is; 0 is not.")] = 30,
    generation: Annotated[float, typer.Option(min=0, help="Seconds a reply takes in load.")] = 0.3,
    messages: Annotated[
        int, typer.Option("--growth", min=0, help="Messages of growth, 100000 say; 0 is none.")
    ] = 0,
) -> None:
    """Measure, print a table, and end with 1 when a bar is missed."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), seconds, generation, messages))
    report(figures, json)
    if not all(each.ok for each in figures):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
