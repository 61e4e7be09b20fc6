"""The documentation is true: what it names exists, what exists is named, its Python runs."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from contracts.dataset import read_card
from contracts.sampling import Sampling
from contracts.settings import Settings, Volumes
from extraction_jobs import build_dataset
from extraction_jobs.config import ExtractionConfig
from moderation import Policy
from services.generation.config import GenerationConfig
from services.generation.metrics import Metrics
from services.generation.settings import GenerationSettings
from telemetry.jobs import JobReport, PushSettings
from telemetry.logs import LogSettings
from tests.conftest import Toy
from tests.services.generation.conftest import running
from training_jobs import finetune
from training_jobs.config import TrainingConfig
from training_jobs.run_folder import read_run

ROOT = Path(__file__).parents[1]
SETTINGS: tuple[type[Settings], ...] = (Volumes, LogSettings, PushSettings, GenerationSettings)
SECTIONS: dict[str, type[BaseModel]] = {
    "extraction": ExtractionConfig,
    "training": TrainingConfig,
    "sampling": Sampling,
    "generation": GenerationConfig,
    "moderation": Policy,
}


def _documented(name: str) -> set[str]:
    """The first cells of a page's tables."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_one_exists() -> None:
    variables = {field.upper() for model in SETTINGS for field in model.model_fields}
    keys = {f"{name}.{field}" for name, model in SECTIONS.items() for field in model.model_fields}
    assert _documented("settings.md") == variables | keys | {"GENERATION_ADDRESS"}


def _defaults() -> Iterable[tuple[str, object]]:
    for model in SETTINGS:
        yield from ((name.upper(), field.default) for name, field in model.model_fields.items())
    for section, config in SECTIONS.items():
        yield from ((f"{section}.{name}", f.default) for name, f in config.model_fields.items())


@pytest.mark.parametrize(("key", "default"), list(_defaults()))
def test_documented_defaults_are_the_real_ones(key: str, default: object) -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| `{re.escape(key)}` \| (.*?) \|", text, re.MULTILINE)
    assert found
    written = found[1].strip("`")
    if default is None or default == ():
        assert written in ("none", "by size")
    elif isinstance(default, int | float):
        assert float(written) == default
    else:
        assert written == str(default)


def test_every_metric_is_documented_and_every_documented_one_exists(toy: Toy) -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    kinds = {metric.name: metric.type for metric in registry.collect()}
    names = {name + ("_total" if kind == "counter" else "") for name, kind in kinds.items()}
    extraction, training = JobReport("extraction", "b"), JobReport("training", "b")
    build_dataset.report_card(extraction, read_card(toy.dataset))
    finetune.report_run(training, read_run(toy.run))
    for report in (extraction, training):
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
