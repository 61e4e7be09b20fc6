"""The documentation is true: what it names exists, what exists is named, its Python runs."""

import asyncio
import re
import runpy
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.sampling import Sampling
from contracts.settings import Settings, Volumes
from extraction_jobs.build_dataset import ExtractionConfig
from moderation import Policy
from services.gateway.config import GatewayConfig
from services.gateway.settings import GatewaySettings
from services.generation.config import GenerationConfig
from services.generation.settings import GenerationSettings
from services.sandbox.demo import DemoSettings
from services.sandbox.settings import SandboxSettings
from telemetry.job import PushSettings
from telemetry.logs import LogSettings
from tests.conftest import Toy
from tests.services.generation.conftest import running
from training_jobs.config import TrainingConfig

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


@pytest.mark.parametrize(
    ("module", "variable"),
    [
        ("services.gateway", "TELEGRAM_TOKEN     required"),
        ("services.generation", "GRPC_PORT          50051"),
        ("services.sandbox", "SANDBOX_PORT       8081"),
        ("services.sandbox.demo", "DEMO_LOG           var/demo.log"),
    ],
)
def test_a_process_that_is_asked_for_help_helps_and_takes_no_argument(
    module: str, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument, code in (("--help", 0), ("--port=1", 2)):
        monkeypatch.setattr("sys.argv", [module, argument])
        for imported in (f"{module}.__main__", "services.sandbox.demo"):
            monkeypatch.delitem(sys.modules, imported, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(module, run_name="__main__")
        assert ended.value.code == code
    out, err = capsys.readouterr()
    assert variable in out
    assert f"python -m {module}" in err
    assert "--port" in err


async def test_the_readmes_python_runs(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    async with running(toy.bots_dir, toy.models_dir) as service:
        assert "127.0.0.1:50051" in example
        code = example.replace("127.0.0.1:50051", service.address)
        await asyncio.to_thread(exec, code, {})
    answers = [line for line in capsys.readouterr().out.splitlines() if "answered" not in line]
    assert len(answers) >= 2
