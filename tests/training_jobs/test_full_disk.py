"""A full disk: each job says so in one line, what serves stays, and with room it goes on."""

import shutil
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from contracts.model_version import BotModels, verify
from tests.conftest import BOT, SmallDisk, Toy
from training_jobs import convert, evaluate, finetune, publish

TRAINING = ("--base", "{base}", "--max-steps", "3")


@pytest.fixture
def disk(toy: Toy, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> SmallDisk:
    """All volumes on a small disk, with the toy's run and version."""
    for name, folder in (("DATA_DIR", "data"), ("MODELS_DIR", "models")):
        monkeypatch.setenv(name, str(small_disk.folder / folder))
    monkeypatch.setenv("LOG_LEVEL", "error")
    shutil.copytree(toy.run, small_disk.folder / "data" / BOT / "run")
    shutil.copytree(toy.models_dir, small_disk.folder / "models", symlinks=True)
    return small_disk


@pytest.mark.parametrize(
    ("app", "options", "leave"),
    [
        pytest.param(finetune.app, TRAINING, 0, id="a checkpoint"),
        pytest.param(finetune.app, TRAINING, 800_000, id="the model"),
        pytest.param(convert.app, (), 100_000, id="conversion", marks=pytest.mark.slow),
        pytest.param(evaluate.app, (), 0, id="evaluation"),
        pytest.param(publish.app, (), 500_000, id="publishing"),
    ],
)
def test_a_full_disk_is_said_in_one_line_and_what_serves_stays(
    toy: Toy, disk: SmallDisk, app: Typer, options: tuple[str, ...], leave: int
) -> None:
    models = BotModels(disk.folder / "models" / BOT)
    words = ["--bot", str(toy.bot_file), *(each.format(base=toy.base) for each in options)]
    if app is not publish.app:
        words += ["--dataset", str(toy.dataset)]
    disk.fill(leave)
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    assert "No space left on device" in done.stderr
    assert verify(models.path(models.current_id() or "")) == toy.manifest
    assert leftovers(disk.folder) == []
    disk.free()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".part" in path.name or ".staging" in path.name]
