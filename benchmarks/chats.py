"""1, 2, 4 … 64 chats at once: throughput and the time that a whole reply takes, with the knee.

Each chat asks, waits for its reply, and asks again. `python -m benchmarks.chats --json FILE
--plot docs/performance.png`
"""

import asyncio
import itertools
import json as jsonlib
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from benchmarks.bots import NEW, asking, make, prompt, quantile, sampling, served
from services.generation.client import GenerationClient

CHATS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
SECONDS = 12.0
NUMBERS = itertools.count(200_000)


@dataclass(frozen=True)
class Load:
    """So many chats: tokens a second of all, and seconds of a whole reply."""

    bot: str
    chats: int
    tokens_per_second: float
    p50: float
    p95: float


async def load(client: GenerationClient, bot: str, chats: int) -> Load:
    took: list[float] = []
    tokens = 0
    began = time.perf_counter()
    until = began + SECONDS

    async def chat(key: str) -> None:
        nonlocal tokens
        while (asked_at := time.perf_counter()) < until:
            response = await client.generate(
                bot,
                prompt(next(NUMBERS)),
                chat_key=key,
                sampling=sampling(),
                max_new_tokens=NEW,
            )
            took.append(time.perf_counter() - asked_at)
            tokens += response.candidates[0].tokens

    await asyncio.gather(*(chat(str(number)) for number in range(chats)))
    speed = tokens / (time.perf_counter() - began)
    return Load(bot, chats, speed, quantile(took, 0.5), quantile(took, 0.95))


def knee(loads: list[Load]) -> Load:
    """The fewest chats with nine tenths of the best throughput."""
    best = max(each.tokens_per_second for each in loads)
    return next(each for each in loads if each.tokens_per_second >= 0.9 * best)


def draw(loads: dict[str, list[Load]], path: Path) -> None:
    mpl.use("agg")
    figure, (speed, time_axis) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for bot, found in loads.items():
        chats = [each.chats for each in found]
        [line] = speed.plot(chats, [each.tokens_per_second for each in found], "o-", label=bot)
        at = knee(found)
        speed.axvline(at.chats, color=line.get_color(), linestyle=":", linewidth=1)
        time_axis.plot(
            chats, [each.p50 for each in found], "o-", color=line.get_color(), label=f"{bot} p50"
        )
        time_axis.plot(
            chats, [each.p95 for each in found], "o--", color=line.get_color(), label=f"{bot} p95"
        )
    for axes, title in ((speed, "tokens/s"), (time_axis, "seconds a reply")):
        axes.set(xscale="log", xlabel="chats at once", title=title, ylim=(0, None))
        axes.set_xticks(CHATS, [str(chats) for chats in CHATS])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


async def measure(root: Path) -> dict[str, list[Load]]:
    make(root)
    with served(root / "bots", root / "models") as there:
        async with asking(there.address) as client:
            loads: dict[str, list[Load]] = {"int8": [], "int4": []}
            await load(client, "big", 4)
            for chats in CHATS:
                for name, bot in (("int8", "big"), ("int4", "small")):
                    loads[name].append(await load(client, bot, chats))
    return loads


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw them.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Where to keep the models; else nowhere.")
    ] = None,
) -> None:
    """Measure both precisions at every load."""
    with tempfile.TemporaryDirectory() as folder:
        loads = asyncio.run(measure(work or Path(folder)))
    table = Table("weights", "chats", "tokens/s", "p50 s", "p95 s")
    for name, found in loads.items():
        for each in found:
            table.add_row(
                name,
                str(each.chats),
                f"{each.tokens_per_second:.0f}",
                f"{each.p50:.2f}",
                f"{each.p95:.2f}",
            )
    Console().print(table)
    if json:
        told = {name: [asdict(each) for each in found] for name, found in loads.items()}
        json.write_text(jsonlib.dumps(told, indent=1) + "\n", encoding="utf-8")
    if plot:
        draw(loads, plot)


if __name__ == "__main__":
    typer.run(main)
