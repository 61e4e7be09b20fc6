"""What an onlooker sees of a run: a progress bar on a terminal, else lines; Pushgateway metrics."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from telemetry.job import JobReport
from telemetry.logs import logger
from training_jobs.hardware import peak_memory
from training_jobs.loop import Curve

LINE_SECONDS = 30.0
"""Between two log lines, and two pushes of the metrics."""
_HELP = "Of the run under way or last finished."


class Watch:
    """`seen` is called after each step."""

    def __init__(
        self, report: JobReport, steps_an_epoch: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._steps_an_epoch = steps_an_epoch
        self._clock = clock
        self._told_at = clock()
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}, held out {task.fields[heldout]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )

    @contextmanager
    def running(self, steps: int) -> Iterator[None]:
        with self._progress:
            self._progress.add_task("training", total=steps, loss=float("nan"), heldout="–")
            yield

    def seen(self, curve: Curve) -> None:
        heldout = f"{curve.heldout[-1][1]:.3f}" if curve.heldout else "–"
        self._progress.update(
            self._progress.task_ids[0],
            completed=curve.steps,
            loss=curve.losses[-1],
            heldout=heldout,
        )
        if self._clock() - self._told_at < LINE_SECONDS:
            return
        self._told_at = self._clock()
        values = {
            "loss": sum(curve.losses[-20:]) / len(curve.losses[-20:]),
            "tokens_per_second": curve.tokens / max(curve.seconds, 1e-9),
            "epoch": curve.steps / self._steps_an_epoch,
            "peak_memory_bytes": float(peak_memory()),
        }
        if curve.heldout:
            values["heldout_loss"] = curve.heldout[-1][1]
        self._report.gauges(_HELP, values)
        self._report.push()
        if not self._console.is_terminal:
            rounded = {name: round(value, 3) for name, value in values.items()}
            logger().info("training", step=curve.steps, **rounded)
