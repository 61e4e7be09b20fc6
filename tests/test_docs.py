"""The documentation is true: what it names exists, what exists is named, its Python runs."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.dataset import read_card
from contracts.sampling import Sampling
from contracts.settings import Settings, Volumes
from extraction_jobs import build_dataset
from extraction_jobs.config import ExtractionConfig
from moderation import Policy
from services.gateway.config import GatewayConfig
from services.gateway.metrics import Metrics as GatewayMetrics
from services.gateway.settings import GatewaySettings
from services.generation.config import GenerationConfig
from services.generation.metrics import Metrics
from services.generation.settings import GenerationSettings
from services.sandbox.demo import DemoSettings
from services.sandbox.settings import SandboxSettings
from telemetry.jobs import JobReport, PushSettings
from telemetry.logs import LogSettings
from tests.conftest import Toy
from tests.services.generation.conftest import running
from training_jobs import finetune
from training_jobs.config import TrainingConfig
from training_jobs.evaluate import report_metrics
from training_jobs.fidelity.bootstrap import Estimate
from training_jobs.fidelity.results import Evaluation, Likelihood
from training_jobs.loop import Curve
from training_jobs.run_folder import read_run
from training_jobs.watch import LINE_SECONDS, Watch

ROOT = Path(__file__).parents[1]
SETTINGS: tuple[type[Settings], ...] = (
    *(Volumes, LogSettings, PushSettings, GenerationSettings),
    *(GatewaySettings, SandboxSettings, DemoSettings),
)
SECTIONS: dict[str, type[BaseModel]] = {
    "extraction": ExtractionConfig,
    "training": TrainingConfig,
    "sampling": Sampling,
    "generation": GenerationConfig,
    "moderation": Policy,
    "gateway": GatewayConfig,
}


def _documented(name: str) -> set[str]:
    """What stands in code in the first cells of a page's tables."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    cells = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    variables = {field.upper() for model in SETTINGS for field in model.model_fields}
    keys = {f"{name}.{field}" for name, model in SECTIONS.items() for field in model.model_fields}
    assert _documented("settings.md") == variables | keys


def _defaults() -> Iterable[tuple[str, object]]:
    for model in SETTINGS:
        yield from ((name.upper(), _default(f)) for name, f in model.model_fields.items())
    for section, config in SECTIONS.items():
        yield from ((f"{section}.{name}", _default(f)) for name, f in config.model_fields.items())


def _default(field: FieldInfo) -> object:
    return "required" if field.is_required() else field.default


@pytest.mark.parametrize(("key", "default"), list(_defaults()))
def test_documented_defaults_are_the_real_ones(key: str, default: object) -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    found = re.search(rf"^\|[^|]*`{re.escape(key)}`[^|]*\| (.*?) \|", text, re.MULTILINE)
    assert found
    written = found[1].strip("`")
    if written == "plain":  # a sentence in Russian, too long for a table
        assert re.search("[а-я]", str(default))
    elif default is None or default in ((), "", frozenset()):
        assert written in ("none", "by size", "by method")
    elif isinstance(default, bool):
        assert written == ("on" if default else "off")
    elif isinstance(default, int | float):
        assert float(written) == default
    else:
        assert written == str(default)


def test_every_metric_is_documented_and_every_documented_one_exists(toy: Toy) -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    GatewayMetrics(registry)
    kinds = {metric.name: metric.type for metric in registry.collect()}
    endings = {"counter": "_total", "info": "_info"}
    names = {name + endings.get(kind, "") for name, kind in kinds.items()}
    jobs = ("extraction", "training", "evaluation")
    extraction, training, evaluation = (JobReport(job, "b") for job in jobs)
    build_dataset.report_card(extraction, read_card(toy.dataset))
    finetune.report_run(training, read_run(toy.run))
    times = iter((0.0, LINE_SECONDS))
    watch = Watch(
        training, PushSettings(), steps_an_epoch=1, clock=lambda: next(times, LINE_SECONDS)
    )
    with watch.running(1):
        watch.seen(Curve(losses=[1.0], heldout=[(1, 1.0)]))
    one = Estimate(1.0, 1.0, 1.0)
    foretold = Likelihood(bits_per_character=one, perplexity=one)
    found = Evaluation(
        contexts=5, tuned=foretold, shuffled=foretold, context_gain=one,
        attribution={"tuned": one}, memorised={"tuned": one},
    )  # fmt: skip
    report_metrics(evaluation, found)
    for report in (extraction, training, evaluation):
        names |= {metric.name for metric in report.registry.collect()}
    assert _documented("metrics.md") == names | {"persona_publishing_files"}


async def test_the_readmes_python_runs(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    async with running(toy.bots_dir, toy.models_dir) as service:
        assert "127.0.0.1:50051" in example
        code = example.replace("127.0.0.1:50051", service.address)
        await asyncio.to_thread(exec, code, {})
    answers = [line for line in capsys.readouterr().out.splitlines() if "answered" not in line]
    assert len(answers) >= 2
