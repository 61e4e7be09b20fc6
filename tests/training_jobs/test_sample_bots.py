"""The kept sample bots: published as any run is, and never in the place of one trained here."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.model_version import BotModels, verify
from extraction_jobs.sample_chats.__main__ import app as sample_chats
from services.generation.client import turn
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import running
from training_jobs import model_libraries
from training_jobs.evaluation.results import Estimate, Evaluation, Likelihood
from training_jobs.publish import publish
from training_jobs.run_folder import EVALUATION
from training_jobs.sample_bots.__main__ import (
    BOTS,
    FOLDER,
    NOTE,
    app,
    keep,
    publish_kept,
)

ROOT = Path(__file__).parents[2]


def measured(version: Path, bits: float) -> None:
    """Let it be evaluated, with nobody to tell the persona from."""
    one, share = Estimate(bits, bits, bits), Estimate(0.25, 0.0, 0.5)
    likelihood = Likelihood(bits_per_character=one, perplexity=one)
    done = Evaluation(
        contexts=5, tuned=likelihood,
        memorised={"tuned": share, "real": share},
    )  # fmt: skip
    (version / EVALUATION).write_text(done.model_dump_json())


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With the sample chats' exports, and nothing published."""
    folder = tmp_path_factory.mktemp("volumes")
    volumes = {"DATA_DIR": str(folder / "data"), "MODELS_DIR": str(folder / "models")}
    assert CliRunner(env=volumes).invoke(sample_chats).exit_code == 0
    return volumes


def run(volumes: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=volumes).invoke(app, [*arguments])


async def test_they_are_published_once_and_answer(volumes: dict[str, str]) -> None:
    first, again = [run(volumes, "publish") for _ in range(2)]
    assert (first.exit_code, again.exit_code) == (0, 0), first.stderr
    models = Path(volumes["MODELS_DIR"])
    for bot in BOTS:
        of_bot = BotModels(models / bot)
        [version] = of_bot.ids()
        manifest = verify(of_bot.path(version))
        assert (manifest.bot, manifest.base, manifest.precision) == (bot, "demo", "int8")
        assert NOTE in manifest.notes
        for told in (first.stdout, again.stdout):
            assert f"{bot}: version {version} serves, as kept in the project" in told
    async with running(ROOT / "k8s/bots", models) as service:
        for bot in BOTS:
            response = await service.client.generate(bot, [turn("Привет")], seed=1)
            assert any(response.candidates[0].messages)


def test_it_is_said_when_one_that_was_trained_here_serves(
    toy: Toy, volumes: dict[str, str], tmp_path: Path
) -> None:
    trained = publish(BOT, toy.run, BotModels(tmp_path / BOT)).id
    done = run({**volumes, "MODELS_DIR": str(tmp_path)}, "publish")
    assert f"avtobus: version {trained} serves, trained here; remove" in done.stdout


@pytest.fixture
def finished(toy: Toy, tmp_path: Path) -> Path:
    """A run with all that keeping one wants."""
    folder = shutil.copytree(toy.run, tmp_path / "run")
    measured(folder, 1.5)
    return folder


def test_a_newer_kept_one_takes_the_place_of_an_older_but_of_nothing_trained_here(
    finished: Path, tmp_path: Path
) -> None:
    models, old, new = BotModels(tmp_path / BOT), tmp_path / "old", tmp_path / "new"
    keep(finished, old)
    assert NOTE in (old / "README.md").read_text(encoding="utf-8")
    first, is_kept = publish_kept(BOT, old, models)
    assert (models.current_id(), is_kept) == (first, True)
    assert "model.safetensors" not in verify(models.path(first)).files
    measured(finished, 1.4)
    keep(finished, new)
    second, is_kept = publish_kept(BOT, new, models)
    assert (models.previous_id(), models.current_id(), is_kept) == (first, second, True)
    trained = publish(BOT, finished, models, force=True).id
    assert publish_kept(BOT, old, models) == (trained, False)


def test_what_is_broken_gives_way_to_a_kept_one_only_where_it_was_kept(
    finished: Path, tmp_path: Path, volumes: dict[str, str]
) -> None:
    models, kept = BotModels(tmp_path / "models" / BOT), tmp_path / "kept"
    keep(finished, kept)
    first = publish_kept(BOT, kept, models)[0]
    (models.path(first) / "openvino_model.bin").unlink()
    assert publish_kept(BOT, kept, models) == (models.current_id(), True)
    assert models.current_id() != first
    trained = publish(BOT, finished, models, force=True).id
    (models.path(trained) / "manifest.json").unlink()
    done = run({**volumes, "MODELS_DIR": str(tmp_path / "models")}, "publish")
    assert f"avtobus: {models.path(trained)}: no model version here (manifest.json" in done.stdout
    assert models.current_id() == trained
    assert "polkson: version" in done.stdout  # and goes on


def test_both_are_small_whole_and_tell_nothing_of_the_machine_that_made_them() -> None:
    files = [path for bot in BOTS for path in (FOLDER / bot).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 20_000_000
    assert not [path for path in files if b"/tmp/" in path.read_bytes()]


def test_what_was_trained_on_the_volume_is_kept(finished: Path, tmp_path: Path) -> None:
    for bot in BOTS:
        shutil.copytree(finished, tmp_path / bot / "run")
    done = run({"DATA_DIR": str(tmp_path)}, "keep", "--output", str(tmp_path / "kept"))
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {*BOTS}


@pytest.mark.slow
def test_one_command_makes_them(tmp_path: Path) -> None:
    options = "TRAINING_sample=--epochs 1 --max-steps 2", f"KEEPING=--output {tmp_path}"
    subprocess.run(["make", "-o", "setup", "sample-bots", *options], cwd=ROOT, check=True)
    for bot in BOTS:
        made = {path.name for path in (tmp_path / bot).rglob("*")}
        assert made == {path.name for path in (FOLDER / bot).rglob("*")}


def test_without_trainings_packages_a_job_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_libraries, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        model_libraries.require_training_packages()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: this needs packages that `make setup`")
