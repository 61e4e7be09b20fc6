"""The frame of a batch job: its options, logs, lock, report to the Pushgateway and exit code.

A job is one `main` that reads as a recipe inside `with job(...) as context:`.

Exit codes: 0 done; 2 refused, which a full disk is too, one line on standard error says why;
1 failed: a file or a connection that cannot be read now, in one line, or a fault of ours, with its
traceback; 75 (EX_TEMPFAIL) interrupted, the same command goes on where it was.

Nothing is pushed unless PUSHGATEWAY_URL is set, and a Pushgateway that does not answer never fails
a job. A push adds to what the gateway has of the group (job and bot): the time of the last failure
stays there when a run succeeds, and the reverse. A figure of an earlier run that this one could not
measure would stay too, so it is pushed as NaN, which no graph draws and no alert fires on.
"""

import errno
import hashlib
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway
from pydantic import BaseModel

from contracts.bot_file import BotFile
from contracts.clock import Clock
from contracts.files import file_sha256, locked, write_whole
from contracts.refusal import EXIT_CODE, Refusal, end_process
from contracts.settings import Settings, Volumes, from_environment
from telemetry.command_line import CommandLine
from telemetry.logs import LogSettings, configure, logger

BotOption = Annotated[Path, typer.Option(help="The bot's file, e.g. k8s/bots/avtobus/bot.yaml.")]
InputOption = Annotated[
    list[Path] | None,
    typer.Option(help="An export, or several [DATA_DIR/<bot>/exports/result.json]."),
]
PersonaOption = Annotated[
    list[str] | None,
    typer.Option(help="auto, whole-chat, a name, an id like user123, or several ids of one."),
]
DatasetOption = Annotated[Path | None, typer.Option(help="The data set [DATA_DIR/<bot>/dataset].")]
RunOption = Annotated[Path | None, typer.Option(help="The run folder [DATA_DIR/<bot>/run].")]
SkipOption = Annotated[bool, typer.Option("--skip-unchanged", help="Do nothing without a change.")]

INTERRUPTED = 75
FULL = (errno.ENOSPC, errno.EDQUOT)
BUSY = "another job works there; wait for its end"
Inputs = tuple[Path | BaseModel | str | None, ...]
T = TypeVar("T")


class PushSettings(Settings):
    """pushgateway_url  the Pushgateway to which jobs report; without it they report nothing"""

    pushgateway_url: str | None = None


def job_app(main: Callable[..., None] | None = None) -> CommandLine:
    """Return a command line of one command, or one to which commands are added."""
    app = CommandLine()
    if main is not None:
        app.command()(main)
    return app


class Interrupted(Exception):
    """The job was told to end and has kept what it did; the same command goes on from there."""


class JobReport:
    """A run's figures; a gauge keeps the last value given. Without a URL nothing is pushed."""

    def __init__(self, job: str, bot: str, url: str | None = None) -> None:
        self.job = job
        self.bot = bot
        self.url = url
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}

    def gauge(self, name: str, help_text: str, value: float | None) -> None:
        """Set `persona_<job>_<name>`; None becomes NaN."""
        full = f"persona_{self.job}_{name}"
        if full not in self._gauges:
            self._gauges[full] = Gauge(full, help_text, registry=self.registry)
        self._gauges[full].set(math.nan if value is None else value)

    def gauges(self, help_text: str, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            self.gauge(name, help_text, value)

    def push(self) -> None:
        if self.url is None:
            return
        try:
            pushadd_to_gateway(self.url, self.job, self.registry, {"bot": self.bot}, timeout=5)
        except (OSError, ValueError, HTTPException) as error:  # unreachable, a bad URL, no HTTP
            logger().warning("pushgateway did not answer", job=self.job, error=error)


@contextmanager
def job_report(
    job: str, bot: str, settings: PushSettings, clock: Clock | None = None
) -> Iterator[JobReport]:
    """Push the start of the block at once, then its duration and the time of success or failure.

    A job that was killed has pushed its start alone; one that was interrupted has neither
    succeeded nor failed.
    """
    report = JobReport(job, bot, settings.pushgateway_url)
    clock = clock or Clock()
    started = clock.now()
    report.gauge("last_start_timestamp_seconds", "Time of the last start.", started)
    report.push()
    outcome = "failure"
    try:
        yield report
        outcome = "success"
    except Interrupted:
        outcome = ""
        raise
    finally:
        ended = clock.now()
        report.gauge("duration_seconds", "Duration of the last run.", ended - started)
        if outcome:
            report.gauge(f"last_{outcome}_timestamp_seconds", f"Time of the last {outcome}.", ended)
        report.push()


@dataclass(frozen=True)
class JobContext:
    """What every job needs: its bot, the volumes, and where it reports its figures."""

    bot: BotFile
    volumes: Volumes
    report: JobReport
    skip_unchanged: bool = False

    def make_if_changed(
        self,
        stamp: Path,
        inputs: Inputs,
        read: Callable[[], T | None],
        make: Callable[[], T],
        made_from: Callable[[T], Inputs] | None = None,
    ) -> T:
        """Return what `make` makes; with --skip-unchanged, what was made of the same inputs before.

        stamp      file beside the output that says from which inputs it was made
        inputs     files and folders, compared by their content; settings; texts
        read       return the output if it is whole; None or a Refusal if it is not
        made_from  return the inputs after `make`, if that changes them
        """
        before = fingerprint(inputs)
        if self.skip_unchanged:
            with suppress(Refusal, OSError):
                if stamp.read_text(encoding="utf-8") == before and (kept := read()) is not None:
                    logger().info("unchanged", bot=self.bot.name, folder=str(stamp.parent))
                    return kept
        with suppress(OSError):  # a folder that cannot be written is refused by `make`
            stamp.unlink()
        made = make()
        write_whole(stamp, fingerprint(made_from(made)) if made_from else before)
        return made


def fingerprint(inputs: Sequence[Path | BaseModel | str | None]) -> str:
    """Hash the inputs; hidden files in a folder (locks, stamps) are not part of its content."""
    parts = []
    for each in inputs:
        if isinstance(each, Path):
            files = sorted(each.rglob("[!.]*")) if each.is_dir() else [each]
            parts += [f"{path.name} {file_sha256(path)}" for path in files if path.is_file()]
        else:
            parts.append(each.model_dump_json() if isinstance(each, BaseModel) else str(each))
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()


@contextmanager
def job(name: str, bot: Path, skip_unchanged: bool = False) -> Iterator[JobContext]:
    """Run the block as the job `name` of the bot whose file is `bot`, and hold its data's lock."""
    with command(name):
        file, volumes = BotFile.read(bot), from_environment(Volumes)
        with (
            job_report(name, file.name, from_environment(PushSettings)) as report,
            locked(volumes.data_dir / file.name, BUSY),
        ):
            yield JobContext(file, volumes, report, skip_unchanged)


@contextmanager
def command(service: str) -> Iterator[None]:
    """Configure logs, and turn what the block raises into one line and an exit code."""
    try:
        configure(from_environment(LogSettings), service)
        yield
    except Refusal as refusal:
        end_process(refusal)
    except Interrupted:
        logger().info("interrupted; the same command goes on where it was")
        sys.exit(INTERRUPTED)
    except OSError as error:
        line = f"{service}: {str(error) or type(error).__name__}"
        end_process(line, EXIT_CODE if error.errno in FULL else 1)
