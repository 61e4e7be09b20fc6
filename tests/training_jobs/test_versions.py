"""The commands on published versions."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.model_version import BotModels
from tests.conftest import BOT, Toy
from training_jobs.publish import publish
from training_jobs.versions import app


@pytest.fixture
def models(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BotModels:
    """Two versions."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    found = BotModels(tmp_path / BOT)
    for _ in range(2):
        publish(BOT, toy.run, found)
    return found


def test_versions_are_listed_and_rolled_back_to_the_one_before(toy: Toy, models: BotModels) -> None:
    first, second = models.ids()
    (models.path(first) / "manifest.json").write_text("{")
    bot = ["--bot", str(toy.bot_file)]
    lines = CliRunner().invoke(app, ["list", *bot]).output.splitlines()
    assert lines[0].startswith(f"{first}  previous  broken: ")
    assert lines[1].startswith(f"{second}  current   int8 of {toy.base}, held-out perplexity ")
    assert lines[1].endswith("; not judged: it was not evaluated")
    refused = CliRunner().invoke(app, ["rollback", *bot])
    assert refused.exit_code == 2
    shutil.copy(models.path(second) / "manifest.json", models.path(first) / "manifest.json")
    assert models.current_id() == second
    assert CliRunner().invoke(app, ["rollback", *bot]).output.strip() == first
    assert models.current_id() == first


def test_pruning_keeps_current_previous_and_young_versions_and_waits_for_who_publishes(
    toy: Toy, models: BotModels
) -> None:
    first, second = models.ids()
    stray = shutil.copytree(models.path(first), models.path("20250101-000000-stray"))
    shutil.copytree(models.path(first), models.path("young"))
    for version in (first, second, stray.name):
        manifest = models.path(version) / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"created": "20', '"created": "19'))
    command = ["prune", "--bot", str(toy.bot_file)]
    with models.staging():
        refused = CliRunner().invoke(app, command)
    assert (refused.exit_code, stray.exists()) == (2, True)
    assert "another process is publishing" in refused.stderr
    assert CliRunner().invoke(app, command).output == "20250101-000000-stray\n"
    assert models.ids() == [first, second, "young"]
