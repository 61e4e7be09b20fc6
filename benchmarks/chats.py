"""1, 2, 4 … 64 chats at once: throughput, and the time that a whole reply takes.

Each chat asks, waits for its reply, and asks again. `python -m benchmarks.chats --json FILE
--plot docs/performance.png`
"""

import asyncio
import itertools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt

from benchmarks.support.generation_service import NEW, asking, make, prompt, sampling, served
from benchmarks.support.report import JsonOption, Line, WorkOption, quantile, report
from services.generation.client import GenerationClient

CHATS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
NUMBERS = itertools.count(200_000)


@dataclass(frozen=True)
class Load:
    """What chats at once get: tokens a second in all, and seconds for a whole reply."""

    chats: int
    tokens_per_second: float
    p50: float
    p95: float


async def load(client: GenerationClient, bot: str, chats: int, seconds: float) -> Load:
    took: list[float] = []
    tokens = 0
    began = time.perf_counter()
    until = began + seconds

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
    return Load(chats, speed, quantile(took, 0.5), quantile(took, 0.95))


def knee(loads: list[Load]) -> Load:
    """Return the fewest chats with nine tenths of the best throughput."""
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


async def measure(root: Path, seconds: float, most: int) -> dict[str, list[Load]]:
    make(root)
    with served(root / "bots", root / "models") as there:
        async with asking(there.address) as client:
            loads: dict[str, list[Load]] = {"int8": [], "int4": []}
            await load(client, "big", 4, seconds)
            for chats in (each for each in CHATS if each <= most):
                for name, bot in (("int8", "big"), ("int4", "small")):
                    loads[name].append(await load(client, bot, chats, seconds))
    return loads


def main(
    json: JsonOption = None,
    plot: Annotated[Path | None, typer.Option(help="Where to draw them.")] = None,
    work: WorkOption = None,
    seconds: Annotated[float, typer.Option(help="How long each load lasts.")] = 12,
    most: Annotated[int, typer.Option(help="The most chats at once.")] = CHATS[-1],
) -> None:
    """Measure both precisions at every load."""
    with tempfile.TemporaryDirectory() as folder:
        loads = asyncio.run(measure(work or Path(folder), seconds, most))
    if plot:
        draw(loads, plot)
    report(
        (line for name, found in loads.items() for each in found for line in lines(name, each)),
        json,
    )


def lines(weights: str, load: Load) -> list[Line]:
    name = f"{weights}, {load.chats} at once"
    return [
        Line(f"{name}: tokens/s", load.tokens_per_second),
        Line(f"{name}: s a reply, p50", load.p50),
        Line(f"{name}: s a reply, p95", load.p95),
    ]


if __name__ == "__main__":
    typer.run(main)
