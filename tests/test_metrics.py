"""docs/metrics.md names the metrics that services and jobs expose; their names follow the rules."""

import asyncio
import re
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
from tests.debian_package import need
from tests.generate_docs import DOCS, metrics
from tests.services.gateway.conftest import World, settings_for
from tests.services.gateway.generation import fake_generation
from tests.services.gateway.telegram import fake_telegram
from tests.services.generation.conftest import running
from tests.training_jobs.test_progress import StoppedClock
from training_jobs import convert, evaluate, finetune, publish
from training_jobs.progress import LOG_SECONDS, ProgressLog, TrainingProgress
from training_jobs.run_folder import CONVERTED, read_conversion, read_run

JOBS = ("extraction", "training", "conversion", "evaluation", "publishing", "backup")
LABELS = {
    *("bot", "job", "volume", "version", "code", "reason", "outcome", "action", "category"),
    *("openvino_genai", "openvino", "grpcio", "tokenizers"),
}
"""All labels that there are: each has few values."""
NO_BASE_UNITS = {
    *("ms", "milliseconds", "microseconds", "minutes", "hours", "days", "percent"),
    *("kb", "mb", "kilobytes", "megabytes", "gigabytes", "kibibytes", "mebibytes"),
}


@dataclass(frozen=True)
class Exposed:
    """What a service or a job exposes: the page that Prometheus reads, and each metric's labels.

    above   labels that all its metrics have
    """

    page: str
    registry: CollectorRegistry
    above: frozenset[str] = frozenset()

    @property
    def kinds(self) -> dict[str, str]:
        """Types by name, as the page has it."""
        found = re.findall(r"^# TYPE (persona_\w+) (\w+)$", self.page, re.MULTILINE)
        return {name: kind for name, kind in found if not name.endswith("_created")}

    @property
    def labels(self) -> dict[str, set[str]]:
        """Labels by name, also of metrics without a sample yet."""
        return {name: labels | self.above for name, labels, _ in metrics(self.registry)}


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        return str(page.read().decode())


async def of_gateway(folder: Path) -> Exposed:
    async with fake_telegram() as fake, fake_generation() as generation:
        settings = settings_for(fake.url, generation.address, folder)
        async with (
            open_bot_api(settings) as api,
            World(fake, generation, api, settings).gateway() as gateway,
        ):
            page = await asyncio.to_thread(scraped, gateway.port)
            return Exposed(page, gateway.registry, frozenset({"bot"}))


async def of_generation(toy: Toy) -> Exposed:
    async with running(toy.bots_dir, toy.models_dir) as service:
        return Exposed(await asyncio.to_thread(scraped, service.ports.metrics), service.registry)


def of_jobs(toy: Toy) -> Iterator[Exposed]:
    """Each once with success and once without."""
    conversion = read_conversion(toy.run)
    figures: tuple[Callable[[JobReport], None], ...] = (
        lambda report: build_dataset.report_card(report, read_card(toy.dataset)),
        lambda report: _train(report, toy),
        lambda report: convert.report_conversion(report, conversion, toy.run / CONVERTED),
        lambda report: evaluate.report_figures(report, None),
        lambda report: publish.report_version(report, toy.manifest),
        lambda report: backup.report_copy(report, 1),
    )
    for job, tell in zip(JOBS, figures, strict=True):
        with job_report(job, BOT, PushSettings()) as report:
            tell(report)
        with suppress(OSError), job_report(job, BOT, PushSettings()) as failed:
            raise OSError
        for each in (report, failed):
            page = generate_latest(each.registry).decode()
            yield Exposed(page, each.registry, frozenset({"job", "bot"}))


def _train(report: JobReport, toy: Toy) -> None:
    clock = StoppedClock()
    log = ProgressLog(report, Path("none"), steps=1, steps_per_epoch=1, clock=clock)
    clock.time = LOG_SECONDS
    log.note(TrainingProgress(losses=[1.0], heldout=[(1, 1.0)]))
    finetune.report_run(report, read_run(toy.run))


@pytest.fixture(scope="module")
async def exposed(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> list[Exposed]:
    gateway = await of_gateway(tmp_path_factory.mktemp("gateway"))
    return [gateway, await of_generation(toy), *of_jobs(toy)]


def test_every_metric_is_documented_and_every_documented_one_exists(exposed: list[Exposed]) -> None:
    names = re.findall(
        r"^\| `(persona_.+?)` ", (DOCS / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    documented = {name.replace("<job>", job) for name in names for job in JOBS}
    assert documented == {name for each in exposed for name in each.kinds}
    assert documented == {name for each in exposed for name in each.labels}


def test_all_samples_of_a_services_page_have_the_labels_that_are_documented(
    exposed: list[Exposed],
) -> None:
    for each in exposed[:2]:  # a job's get theirs where they are pushed
        shown = {
            (family.name, frozenset(sample.labels) - {"le"})
            for family in text_string_to_metric_families(each.page)
            for sample in family.samples
        }
        names = {name.removesuffix("_total"): labels for name, labels in each.labels.items()}
        assert len(shown) > 10
        assert not [one for one in shown if one[0] in names and names[one[0]] != one[1]]


def test_names_follow_the_rules_of_prometheus(exposed: list[Exposed]) -> None:
    for name, kind in ((name, kind) for each in exposed for name, kind in each.kinds.items()):
        assert re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not NO_BASE_UNITS & {*name.split("_")}, name
        assert name.endswith("_seconds") or not {"duration", "timestamp"} & {*name.split("_")}


def test_label_names_are_from_a_closed_list(exposed: list[Exposed]) -> None:
    assert {name for each in exposed for names in each.labels.values() for name in names} == LABELS


def test_promtool_finds_no_fault(exposed: list[Exposed]) -> None:
    need("prometheus", "promtool")
    for each in exposed:
        checked = subprocess.run(
            ["promtool", "check", "metrics"],
            input=each.page, capture_output=True, text=True, check=False,
        )  # fmt: skip
        faults = checked.stderr.splitlines()  # a bit is no unit of size in what is not foreseen
        assert not [fault for fault in faults if "_bits_per_character " not in fault]
