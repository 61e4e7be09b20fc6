"""docs/metrics.md is true, both ways, of what services and jobs tell; and names are good."""

import asyncio
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from contracts.dataset import read_card
from extraction_jobs import build_dataset
from services.gateway import backup
from services.gateway.bot_api import open_bot_api
from telemetry.job import JobReport, PushSettings, job_report
from tests.conftest import BOT, Toy
from tests.generate_docs import metrics
from tests.services.gateway.conftest import World, fake_generation, settings_for
from tests.services.gateway.telegram import fake_telegram
from tests.services.generation.conftest import running
from tests.training_jobs.test_progress import StoppedClock
from training_jobs import convert, evaluate, finetune, publish
from training_jobs.progress import LOG_SECONDS, ProgressDisplay, TrainingProgress
from training_jobs.run_folder import CONVERTED, read_conversion, read_run

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
JOBS = ("extraction", "training", "conversion", "evaluation", "publishing", "backup")
LABELS = {
    *("bot", "job", "volume", "version", "code", "reason", "outcome", "action"),
    *("openvino_genai", "openvino", "grpcio", "tokenizers"),
}
"""All that a metric may be told apart by: each has few values."""
NO_BASE_UNITS = {
    *("ms", "milliseconds", "microseconds", "minutes", "hours", "days", "percent"),
    *("kb", "mb", "kilobytes", "megabytes", "gigabytes", "kibibytes", "mebibytes"),
}


@dataclass(frozen=True)
class Told:
    """What a service or a job tells: the page that Prometheus reads, and each metric's labels.

    above   labels that all of it bears
    """

    page: str
    registry: CollectorRegistry
    above: frozenset[str] = frozenset()

    @property
    def kinds(self) -> dict[str, str]:
        """By name as it is on the page."""
        found = re.findall(r"^# TYPE (persona_\w+) (\w+)$", self.page, re.MULTILINE)
        return {name: kind for name, kind in found if not name.endswith("_created")}

    @property
    def labels(self) -> dict[str, set[str]]:
        """By name, also of metrics that have no sample yet."""
        return {name: labels | self.above for name, labels, _ in metrics(self.registry)}


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        return str(page.read().decode())


async def of_gateway(folder: Path) -> Told:
    async with fake_telegram() as fake, fake_generation() as generation:
        settings = settings_for(fake.url, generation.address, folder)
        async with (
            open_bot_api(settings) as api,
            World(fake, generation, api, settings).gateway() as gateway,
        ):
            page = await asyncio.to_thread(scraped, gateway.port)
            return Told(page, gateway.registry, frozenset({"bot"}))


async def of_generation(toy: Toy) -> Told:
    async with running(toy.bots_dir, toy.models_dir) as service:
        return Told(await asyncio.to_thread(scraped, service.ports.metrics), service.registry)


def of_jobs(toy: Toy) -> Iterator[Told]:
    """Each once with success and once without."""
    conversion = read_conversion(toy.run)
    figures: tuple[Callable[[JobReport], None], ...] = (
        lambda report: build_dataset.report_card(report, read_card(toy.dataset)),
        lambda report: _train(report, toy),
        lambda report: convert.report_conversion(report, conversion, toy.run / CONVERTED),
        lambda report: evaluate.report_figures(report, None),
        lambda report: publish.report_version(report, toy.models, toy.manifest),
        lambda report: backup.report_copy(report, 1),
    )
    for job, tell in zip(JOBS, figures, strict=True):
        with job_report(job, BOT, PushSettings()) as report:
            tell(report)
        with suppress(OSError), job_report(job, BOT, PushSettings()) as failed:
            raise OSError
        for each in (report, failed):
            page = generate_latest(each.registry).decode()
            yield Told(page, each.registry, frozenset({"job", "bot"}))


def _train(report: JobReport, toy: Toy) -> None:
    clock = StoppedClock()
    display = ProgressDisplay(report, steps=1, steps_per_epoch=1, clock=clock)
    clock.time = LOG_SECONDS
    display.show(TrainingProgress(losses=[1.0], heldout=[(1, 1.0)]))
    finetune.report_run(report, read_run(toy.run))


@pytest.fixture(scope="module")
async def told(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    gateway = await of_gateway(tmp_path_factory.mktemp("gateway"))
    return [gateway, await of_generation(toy), *of_jobs(toy)]


def documented() -> dict[str, set[str]]:
    """Labels by name; those of all a gateway's and all jobs' metrics stand above the tables."""
    found = {}
    for section in DOCS.read_text(encoding="utf-8").split("\n## ")[1:]:
        above = {"Gateway": {"bot"}, "Jobs": {"job", "bot"}}.get(section.split("\n")[0], set())
        for row in re.findall(r"^\| (`persona_.*) \|$", section, re.MULTILINE):
            name, *labels, _ = row.split(" | ")
            for job in JOBS if "<job>" in name else [""]:
                full = name.strip("`").replace("<job>", job)
                found[full] = {*re.findall(r"`(\w+)`", "".join(labels))} | above
    return found


def test_every_metric_is_documented_with_its_labels_and_every_documented_one_exists(
    told: list[Told],
) -> None:
    labels = {name: found for each in told for name, found in each.labels.items()}
    assert documented() == labels
    assert documented().keys() == {name for each in told for name in each.kinds}


def test_all_samples_of_a_services_page_have_the_labels_that_are_documented(
    told: list[Told],
) -> None:
    for each in told[:2]:  # a job's get theirs where they are pushed
        shown = {
            (family.name, frozenset(sample.labels) - {"le"})
            for family in text_string_to_metric_families(each.page)
            for sample in family.samples
        }
        names = {name.removesuffix("_total"): labels for name, labels in each.labels.items()}
        assert len(shown) > 10
        assert not [one for one in shown if one[0] in names and names[one[0]] != one[1]]


def test_names_follow_the_rules_of_prometheus(told: list[Told]) -> None:
    for name, kind in ((name, kind) for each in told for name, kind in each.kinds.items()):
        assert re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not NO_BASE_UNITS & {*name.split("_")}, name
        assert name.endswith("_seconds") or not {"duration", "timestamp"} & {*name.split("_")}


def test_label_names_are_from_a_closed_list(told: list[Told]) -> None:
    assert {name for each in told for names in each.labels.values() for name in names} == LABELS


def test_promtool_finds_no_fault(told: list[Told]) -> None:
    if shutil.which("promtool") is None:
        assert not os.environ.get("CI"), "promtool is missing"
        pytest.skip("promtool is missing: Debian's package prometheus has it")
    for each in told:
        checked = subprocess.run(
            ["promtool", "check", "metrics"],
            input=each.page, capture_output=True, text=True, check=False,
        )  # fmt: skip
        faults = checked.stderr.splitlines()  # a bit is no unit of size in what is not foreseen
        assert not [fault for fault in faults if "_bits_per_character " not in fault]
