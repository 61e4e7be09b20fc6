"""What every benchmark prints and writes: a line for each figure, with what it is compared to."""

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

JsonOption = Annotated[
    Path | None,
    typer.Option("--json", help="Where to write {line: {ours, theirs, ratio, bar, ok}}."),
]
WorkOption = Annotated[
    Path | None, typer.Option("--work", help="Where to keep the models; else nowhere.")
]


@dataclass(frozen=True)
class Line:
    """A figure of ours, and in the same unit the figure of another side, or a limit.

    bar     what ours / theirs has to reach, or with `at_most` must not go over
    """

    name: str
    ours: float
    theirs: float | None = None
    bar: float | None = None
    at_most: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None

    @property
    def ok(self) -> bool:
        if self.theirs is None or self.bar is None:
            return True
        wanted = self.bar * self.theirs
        return self.ours <= wanted if self.at_most else self.ours >= wanted


def at_most(name: str, ours: float, limit: float) -> Line:
    """Compare a figure with a limit of its own."""
    return Line(name, ours, limit, bar=1.0, at_most=True)


def at_least(name: str, ours: float, limit: float) -> Line:
    return Line(name, ours, limit, bar=1.0)


def report(lines: Iterable[Line], path: Path | None) -> None:
    """Print a table, write it as JSON where a path is given, and exit with 1 if a bar is missed."""
    lines = list(lines)
    table = Table("line", "ours", "theirs or limit", "ratio", "bar", "ok")
    for line in lines:
        bar = "" if line.bar is None else f"{'≤' if line.at_most else '≥'} {line.bar:g}"
        values = (line.ours, line.theirs, line.ratio)
        table.add_row(line.name, *map(_shown, values), bar, "yes" if line.ok else "NO")
    Console().print(table)
    if path:
        found = {line.name: _fields(line) for line in lines}
        text = json.dumps(found, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    if not all(line.ok for line in lines):
        raise typer.Exit(1)


def median(values: list[float]) -> float:
    return statistics.median(values)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def _fields(line: Line) -> dict[str, object]:
    """JSON has no infinity: what never came has no figure."""
    fields = {**asdict(line), "ratio": line.ratio, "ok": line.ok}
    order = ("ours", "theirs", "ratio", "bar", "ok")
    finite = {name: fields[name] for name in order}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in finite.items()
    }
