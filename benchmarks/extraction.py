"""What extraction costs: its CPU a message, its most memory, and whether either grows with a chat.

For a group, a channel and one sender who makes no pause:

reading  CPU of reading and normalising an export over that of `json.load`
memory   the most at 350 MB, and that over the most at 50 MB
growth   CPU at 350 MB over that at a quarter of it

and for the group the messages a second of CPU, of a named persona and of the whole chat.

`python -m benchmarks.extraction --json FILE` (10 minutes); with `--other DIR` another working tree
(an older checkout) takes turns with ours, and its messages a second are what ours are compared to.
Each job is the real command in a process of its own, less what its imports take. The exports are
made here. Ends with 1 when a bar is missed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from benchmarks.support.made_exports import PERSONA, SHAPES, write_export
from benchmarks.support.report import JsonOption, Line, at_most, median, report

ROOT = Path(__file__).parents[1]
MEGABYTES, ROUNDS = (50.0, 350.0), 3
READING, PEAK_MIB, PEAK_GROWTH, TIME_GROWTH, SPEED = 2.0, 100.0, 1.1, 4.4, 4.0
"""The bars. TIME_GROWTH is for four times the rows; SPEED is how many times the other's."""
WHOLE = "whole-chat"
JOB = "extraction_jobs.build_dataset"
LOAD = "import json, sys; json.load(open(sys.argv[1], 'rb'))"
READ = """
import sys
from pathlib import Path
from contracts.turn import single_line
from extraction_jobs.messages import Found
from extraction_jobs.sources import read
for message in read(Path(sys.argv[1]), Found()):
    single_line(message.text)
"""


class Cost(NamedTuple):
    """CPU seconds of user and system, and the most memory in MiB."""

    cpu: float
    peak: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.cpu - other.cpu, self.peak - other.peak)


class Export(NamedTuple):
    path: Path
    messages: int


def python(tree: Path, *arguments: str) -> Cost:
    """Run Python with a working tree's modules. Raises RuntimeError where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "LOG_LEVEL": "error"}
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=tree, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{tree}: {' '.join(arguments)} ended with {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def job(tree: Path, export: Path, persona: str) -> Cost:
    """Extract once, and return what it took beside its imports."""
    with tempfile.TemporaryDirectory() as folder:
        bot = Path(folder, "bot.yaml")
        bot.write_text("name: benchmark\n")
        options = {"bot": bot, "input": export, "persona": persona, "output": f"{folder}/dataset"}
        named = [f"--{name}={value}" for name, value in options.items()]
        cost = python(tree, "-m", JOB, *named)
    return cost - python(tree, "-c", f"import {JOB}")


def reading(export: Path) -> float:
    """CPU of reading over that of json.load: the median of some turns."""
    read, nothing = READ, READ.partition("for ")[0]
    ours, theirs = list[float](), list[float]()
    for _ in range(ROUNDS):
        ours.append((python(ROOT, "-c", read, str(export)) - python(ROOT, "-c", nothing)).cpu)
        json_alone = python(ROOT, "-c", "import json")
        theirs.append((python(ROOT, "-c", LOAD, str(export)) - json_alone).cpu)
    return median(ours) / median(theirs)


def growth(folder: Path, shape: str, small: float, large: float) -> Iterator[Line]:
    """Tell of a shape of chat how reading, memory and time are, and how they grow with it."""
    sizes = (small, large / 4, large)
    exports = [folder / f"{place}.json" for place in range(len(sizes))]
    rows = [write_export(*each) for each in zip(exports, [shape] * 3, sizes, strict=True)]
    less, quarter, more = (job(ROOT, export, WHOLE) for export in exports)
    grown = more.cpu / quarter.cpu * 4 * rows[1] / rows[2]  # rows are 4 times as many but for few
    yield at_most(f"{shape}: CPU of reading over json.load's", reading(exports[0]), READING)
    yield at_most(f"{shape}: most memory at {large:g} MB, MiB", more.peak, PEAK_MIB)
    yield at_most(
        f"{shape}: that over the most at {small:g} MB", more.peak / less.peak, PEAK_GROWTH
    )
    yield at_most(f"{shape}: CPU at 4 times the rows", grown, TIME_GROWTH)


def speed(folder: Path, megabytes: float, trees: list[Path]) -> Iterator[Line]:
    """Tell the messages a second of CPU, ours and the other's by turns."""
    export = folder / "speed.json"
    count = write_export(export, "group", megabytes)
    for persona, title in ((PERSONA, "a named persona"), (WHOLE, "the whole chat")):
        rounds = [[count / job(tree, export, persona).cpu for tree in trees] for _ in range(ROUNDS)]
        ours, *theirs = (median(list(values)) for values in zip(*rounds, strict=True))
        name = f"group, {title}: messages/s of CPU"
        yield Line(name, ours, theirs[0], SPEED) if theirs else Line(name, ours)


def measure(sizes: tuple[float, float], other: Path | None) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as name:
        yield from speed(Path(name), sizes[0], [ROOT, *([other.resolve()] if other else [])])
        for shape in SHAPES:
            yield from growth(Path(name), shape, *sizes)


def main(
    json: JsonOption = None,
    megabytes: Annotated[
        tuple[float, float], typer.Option(min=1, help="Sizes of the exports.")
    ] = MEGABYTES,
    other: Annotated[
        Path | None, typer.Option(help="Another working tree, to compare ours with.")
    ] = None,
) -> None:
    """Measure, print a table, and end with 1 when a bar is missed."""
    report(measure(megabytes, other), json)


if __name__ == "__main__":
    typer.run(main)
