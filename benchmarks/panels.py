"""Pictures of the dashboards without a Grafana: one PNG each, as a Prometheus answers now.

`python -m benchmarks.panels --prometheus http://127.0.0.1:9090 --output FOLDER`
"""

import textwrap
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
import typer
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from tests.k8s.dashboards import Panel, Prometheus, Query, Series, boards, panels

COLUMNS, STEPS = 24, 120
CELL, HEAD, LEFT, FOOT = (0.62, 0.38), 0.4, 0.6, 0.25
"""Inches: of a cell of Grafana's grid, above all, beside a panel and below it."""
COLOURS = {"red": "tab:red", "green": "tab:green", "orange": "tab:orange", "blue": "tab:blue"}

Found = list[tuple[str, Series]]


def shown(value: float, unit: str, decimals: int = 1) -> str:
    """A value as Grafana would write it, roughly."""
    if unit == "percentunit":
        return f"{100 * value:.{decimals}f} %"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    if unit == "s" and value >= 120:
        return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return number + {"s": " s"}.get(unit, unit.partition(":")[2])


def colour(value: float, defaults: dict[str, Any]) -> str:
    steps = defaults.get("thresholds", {}).get("steps", ())
    reached = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return COLOURS[reached[-1]] if reached else "tab:blue"


def ask(prometheus: Prometheus, panel: Panel, seconds: float) -> Found:
    """Each series with its legend, in the order of the legends."""

    def one(query: Query) -> list[Series]:
        expr = query.filled(rate=f"{max(5, int(seconds / 20))}s")
        if query.instant:
            return prometheus.now(expr)
        return prometheus.lately(expr, seconds, STEPS)

    found = [(query.name(each.labels), each) for query in panel.queries for each in one(query)]
    return sorted((one for one in found if one[1].numbers), key=lambda one: one[0])


def draw_lines(axes: Axes, panel: Panel, found: Found) -> None:
    defaults = panel.raw["fieldConfig"]["defaults"]
    now = max(each.points[-1][0] for _, each in found)
    times = [[(at - now) / 60 for at, _ in each.points] for _, each in found]
    stacked = "stacking" in defaults["custom"] and len({tuple(each) for each in times}) == 1
    if stacked:
        values = [[value for _, value in each.points] for _, each in found]
        axes.stackplot(times[0], values, labels=[name for name, _ in found], alpha=0.6)
    else:
        for at, (name, each) in zip(times, found, strict=True):
            axes.plot(at, [value for _, value in each.points], label=name)
    highest = max(axes.get_ylim()[1], *(max(each.numbers) for _, each in found), 1e-3)
    axes.set_ylim(bottom=defaults.get("min"), top=defaults.get("max", 1.15 * highest))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel.unit)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda minutes, _: f"{minutes:g} min"))
    axes.legend(fontsize=6, loc="upper left", framealpha=0.6, ncols=2)


def draw_values(axes: Axes, panel: Panel, found: Found) -> None:
    defaults = panel.raw["fieldConfig"]["defaults"]
    mapped: dict[str, dict[str, str]] = {}
    for each in defaults.get("mappings", ()):
        mapped |= each["options"]
    bars = panel.raw["type"] == "bargauge"
    for row, (name, series) in enumerate(reversed(found)):
        value = series.numbers[-1]
        told = mapped.get(f"{value:g}", {})
        word = told.get("text", shown(value, panel.unit, defaults.get("decimals", 1)))
        painted = COLOURS[told["color"]] if told else colour(value, defaults)
        axes.barh(row, value if bars else 1, color=painted, alpha=0.5)
        only_name = panel.raw["options"].get("textMode") == "name"
        axes.text(0, row, f" {name}" if only_name else f" {name}: {word}", va="center", fontsize=7)
    if bars and "max" in defaults:
        axes.set_xlim(0, defaults["max"])
    axes.set_axis_off()


def draw(axes: Axes, prometheus: Prometheus, panel: Panel, seconds: float) -> None:
    axes.tick_params(labelsize=6)
    if panel.raw["type"] == "text":
        text = panel.raw["options"]["content"].replace("**", "")
        axes.text(0, 1, text, va="top", fontsize=7, wrap=True)
        axes.set_axis_off()
        return
    found = ask(prometheus, panel, seconds)
    if not found:
        empty = panel.raw["fieldConfig"]["defaults"].get("noValue", "no data")
        axes.text(0.5, 0.5, empty, ha="center")
        axes.set_axis_off()
    elif panel.raw["type"] == "timeseries":
        draw_lines(axes, panel, found)
    else:
        draw_values(axes, panel, found)


def picture(prometheus: Prometheus, board: str, seconds: float, file: Path) -> None:
    mine = [panel for panel in panels() if panel.board == board]
    rows = max(panel.raw["gridPos"]["y"] + panel.raw["gridPos"]["h"] for panel in mine)
    wide, high = COLUMNS * CELL[0], rows * CELL[1] + HEAD
    figure = plt.figure(figsize=(wide, high))
    figure.suptitle(boards()[board]["title"], fontsize=12, y=1 - 0.1 / high)
    for panel in mine:
        x, y, w, h = (panel.raw["gridPos"][key] for key in "xywh")
        left, width = x * CELL[0] + LEFT, w * CELL[0] - LEFT - 0.1
        top = high - HEAD - y * CELL[1]
        about = textwrap.wrap(panel.raw["description"], int(width / 0.043))
        place = (left / wide, (top - h * CELL[1] + FOOT) / high)
        size = (width / wide, (h * CELL[1] - FOOT - 0.35 - 0.09 * len(about)) / high)
        figure.text(left / wide, (top - 0.15) / high, panel.title, fontsize=9)
        below = (left / wide, (top - 0.19) / high)
        figure.text(*below, "\n".join(about), va="top", fontsize=5.5, color="gray")
        draw(figure.add_axes((*place, *size)), prometheus, panel, seconds)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main(
    prometheus: Annotated[str, typer.Option(help="Its address.")],
    output: Annotated[Path, typer.Option(help="The folder that gets the pictures.")],
    minutes: Annotated[float, typer.Option(help="How much of the past they show.")] = 60,
) -> None:
    """Draw every dashboard."""
    mpl.use("agg")
    output.mkdir(parents=True, exist_ok=True)
    for board in boards():
        picture(Prometheus(prometheus), board, 60 * minutes, output / f"{board}.png")


if __name__ == "__main__":
    typer.run(main)
