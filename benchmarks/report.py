"""What every benchmark prints and writes: a line a comparison, with its bar."""

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """ours and theirs in the same unit, more is better; ok when ours / theirs reaches the bar."""

    name: str
    ours: float
    theirs: float
    bar: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def ok(self) -> bool:
        return self.ratio >= self.bar


def report(lines: list[Line], path: Path | None) -> None:
    """Print a table; write `{line: {ours, theirs, ratio, bar, ok}}` where a path is given."""
    table = Table("line", "ours", "theirs", "ratio", "bar", "ok")
    for line in lines:
        values = (line.ours, line.theirs, line.ratio, line.bar)
        table.add_row(line.name, *(f"{value:.2f}" for value in values), str(line.ok))
    Console().print(table)
    if path:
        found = {
            line.name: {
                "ours": line.ours,
                "theirs": line.theirs,
                "ratio": line.ratio,
                "bar": line.bar,
                "ok": line.ok,
            }
            for line in lines
        }
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
