"""A batch job's report to the Pushgateway, grouped by job and bot.

Nothing is sent unless PUSHGATEWAY_URL is set; a gateway that does not answer never fails a job.

A push adds to what the gateway has of the group: the time of the last failure stays there when a
run succeeds, and the reverse. So would a figure that this run could not have and one before it had;
such a one is sent as NaN, which no graph draws and no comparison takes for true.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException

from prometheus_client import CollectorRegistry, Gauge, pushadd_to_gateway

from contracts.settings import Settings
from telemetry.logs import logger

Clock = Callable[[], float]


class PushSettings(Settings):
    pushgateway_url: str | None = None


class JobReport:
    """Collects a run's figures; `gauge` keeps the last value given, and None is NaN."""

    def __init__(self, job: str, bot: str) -> None:
        self.job = job
        self.bot = bot
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}

    def gauge(self, name: str, help_text: str, value: float | None) -> None:
        """Report `persona_<job>_<name>`."""
        full = f"persona_{self.job}_{name}"
        if full not in self._gauges:
            self._gauges[full] = Gauge(full, help_text, registry=self.registry)
        self._gauges[full].set(math.nan if value is None else value)

    def gauges(self, help_text: str, values: Mapping[str, float | None]) -> None:
        for name, value in values.items():
            self.gauge(name, help_text, value)

    def push(self, settings: PushSettings) -> None:
        if settings.pushgateway_url is None:
            return
        try:
            pushadd_to_gateway(
                settings.pushgateway_url,
                job=self.job,
                grouping_key={"bot": self.bot},
                registry=self.registry,
                timeout=5,
            )
        except (OSError, ValueError, HTTPException) as error:  # unreachable, a bad URL, no HTTP
            logger().warning("pushgateway did not answer", job=self.job, error=str(error))


@contextmanager
def job_report(
    job: str,
    bot: str,
    settings: PushSettings,
    clock: Clock = time.time,
    goes_on: tuple[type[Exception], ...] = (),
) -> Iterator[JobReport]:
    """Report the block's start at once, then its duration and the time of its success or failure.

    A job that is killed has told only its start. What `goes_on` lists is no end: the same job will
    be started again, and goes on where it was.
    """
    report = JobReport(job, bot)
    started = clock()
    report.gauge("last_start_timestamp_seconds", "Time of the last start.", started)
    report.push(settings)
    outcome = "failure"
    try:
        yield report
        outcome = "success"
    except goes_on:
        outcome = ""
        raise
    finally:
        ended = clock()
        report.gauge("duration_seconds", "Duration of the last run.", ended - started)
        if outcome:
            report.gauge(f"last_{outcome}_timestamp_seconds", f"Time of the last {outcome}.", ended)
        report.push(settings)
