"""How far a training run has come: a bar on a terminal, else log lines; the Pushgateway; a file.

`progress.json` in the run folder is for whoever watches: another process reads it while it lasts.
"""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contracts.clock import Clock
from telemetry.job import JobReport
from telemetry.logs import logger
from training_jobs.hardware import peak_memory

MIN_GAIN = 0.002
"""Smallest fall of the held-out loss (nats a token) that counts as one."""
LOG_SECONDS = 10.0
"""Between two log lines, and two pushes of the metrics."""
FILE, FILE_SECONDS, FILE_POINTS = "progress.json", 2.0, 200
"""The file, the seconds between two writings, and most points of the loss curve in it."""
Samples = list[tuple[int, list[tuple[str, str]]]]


@dataclass
class TrainingProgress:
    """losses: one a step; heldout: pairs of (steps done, held-out loss); samples: pairs of (steps
    done, questions with the model's replies).
    """

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0
    heldout: list[tuple[int, float]] = field(default_factory=list)
    samples: Samples = field(default_factory=list)

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / max(self.seconds, 1e-9)

    @property
    def best_step(self) -> int:
        """Steps done when the held-out loss was lowest; a later one must gain MIN_GAIN."""
        best, lowest = 0, math.inf
        for step, loss in self.heldout:
            if loss < lowest - MIN_GAIN:
                best, lowest = step, loss
        return best

    @property
    def best_loss(self) -> float | None:
        """Held-out loss of the weights that are kept; None where nothing is held out."""
        return dict(self.heldout).get(self.best_step)

    def seconds_left(self, steps: int) -> float:
        """Return how long the rest of so many steps may take at most."""
        return self.seconds / max(1, self.steps) * (steps - self.steps)

    def curve(self) -> list[tuple[int, float]]:
        """Return points (steps done, mean loss of the steps since the one before)."""
        width = max(1, math.ceil(self.steps / FILE_POINTS))
        parts = (self.losses[start : start + width] for start in range(0, self.steps, width))
        return [(width * n + len(part), sum(part) / len(part)) for n, part in enumerate(parts)]


class ProgressLog:
    """Reports the progress of one run of `steps` steps; the bar is visible inside `with bar`.

    folder  where `progress.json` is written
    """

    def __init__(
        self,
        report: JobReport,
        folder: Path,
        steps: int,
        steps_per_epoch: int,
        clock: Clock | None = None,
    ) -> None:
        self._file = folder / FILE
        self._written_at = -math.inf
        self._report = report
        self._steps = steps
        self._steps_per_epoch = steps_per_epoch
        self._clock = clock or Clock()
        self._logged_at = self._clock.now()
        console, loss = Console(stderr=True), TextColumn("loss {task.fields[loss]:.3f}")
        columns = "training", BarColumn(), MofNCompleteColumn(), loss, TimeRemainingColumn()
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self.bar.add_task("", total=steps, loss=math.nan)

    def note(self, progress: TrainingProgress) -> None:
        """Take note of a step, and report the progress every ten seconds: logged without a bar.

        loss               mean of the last 20 steps, nats a token
        tokens_per_second  tokens trained a second
        epoch              passes over the data set so far
        peak_memory_bytes  most memory held
        heldout_loss       of the held-out persona turns; when it no longer falls, training stops
        """
        self.bar.update(self._task, completed=progress.steps, loss=progress.losses[-1])
        if self._clock.now() - self._written_at >= FILE_SECONDS:
            self.write(progress)
        if self._clock.now() - self._logged_at < LOG_SECONDS:
            return
        self._logged_at = self._clock.now()
        values = {
            "loss": sum(progress.losses[-20:]) / len(progress.losses[-20:]),
            "tokens_per_second": progress.tokens_per_second,
            "epoch": progress.steps / self._steps_per_epoch,
            "peak_memory_bytes": float(peak_memory()),
        }
        if progress.heldout:
            values["heldout_loss"] = progress.heldout[-1][1]
        self._report.gauges("Of the run under way or last finished.", values)
        self._report.push()
        if not self.bar.disable:
            return
        left = progress.seconds_left(self._steps)
        rounded = {name: round(value, 3) for name, value in values.items()}
        step = f"{progress.steps}/{self._steps}"
        logger().info("training", step=step, minutes_left=round(left / 60, 1), **rounded)

    def write(self, progress: TrainingProgress) -> None:
        """Write the file anew: whole, but not synced; a full disk is for the checkpoint to tell."""
        self._written_at = self._clock.now()
        content = {
            "step": progress.steps,
            "steps": self._steps,
            "seconds_left": progress.seconds_left(self._steps),
            "tokens_per_second": progress.tokens_per_second,
            "losses": progress.curve(),
            "heldout": progress.heldout,
            "samples": progress.samples,
        }
        part = self._file.with_suffix(".part")
        with suppress(OSError):
            part.write_text(json.dumps(content), encoding="utf-8")
            part.replace(self._file)
