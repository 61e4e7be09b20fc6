"""Publishing: conversion, manifest, model card, and what cannot be published."""

import errno
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.files import locked, write_model
from contracts.model_version import MODEL_FILES, BotModels, verify
from contracts.refusal import Refusal
from tests.conftest import BOT, FORGETS_UNTIL, Toy
from training_jobs.publish import app, publish
from training_jobs.run_folder import EVALUATION, SUMMARY, read_run


def test_a_version_has_all_that_the_contract_names(toy: Toy) -> None:
    version = toy.models.path(toy.models.current_id() or "")
    manifest = verify(version)
    run = read_run(toy.run)
    assert manifest == toy.manifest
    assert (manifest.bot, manifest.base, manifest.precision) == (BOT, str(toy.base), "int8")
    assert manifest.dataset_sha256 == run.dataset_sha256
    assert manifest.forgets_until == FORGETS_UNTIL
    assert manifest.stop.token_ids == (run.eos,)
    assert manifest.metrics["heldout_loss"] == run.metrics["heldout_loss"]
    assert {*MODEL_FILES, "model.safetensors", "README.md"} <= manifest.files.keys()
    folder = str(toy.run.parent).encode()  # of the machine that trained it, and nobody's business
    assert not [path.name for path in version.iterdir() if folder in path.read_bytes()]
    card = (version / "README.md").read_text(encoding="utf-8")
    assert f"fine-tuned from `{toy.base}`" in card
    assert run.dataset_sha256 in card


@pytest.mark.parametrize(
    "name",
    ["run.json", "conversion.json", "model/model.safetensors", "openvino/openvino_model.bin"],
)
def test_an_unfinished_run_or_another_bots_is_refused_and_nothing_is_published(
    toy: Toy, tmp_path: Path, name: str
) -> None:
    run = shutil.copytree(toy.run, tmp_path / "run")
    (run / name).unlink()
    models = BotModels(tmp_path / "models" / BOT)
    with pytest.raises(Refusal):
        publish(BOT, run, models)
    with pytest.raises(Refusal, match="of bot 'avtobus'"):
        publish("polkson", toy.run, models)
    assert models.current_id() is None
    assert models.ids() == []


def test_a_full_disk_leaves_the_version_before(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(toy.models.folder, tmp_path / BOT, symlinks=True)
    models = BotModels(tmp_path / BOT)
    before = models.current_id()

    def full(source: object, target: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(Refusal, match="No space left"):
        publish(BOT, toy.run, models)
    assert models.current_id() == before
    verify(models.path(before or ""))
    assert not list(models.versions.glob(".staging*"))


def test_who_was_forgotten_does_not_come_back_with_an_older_run(toy: Toy, tmp_path: Path) -> None:
    models, run = BotModels(tmp_path / BOT), shutil.copytree(toy.run, tmp_path / "run")
    publish(BOT, run, models)
    older = {"forgets_until": FORGETS_UNTIL - 1}
    write_model(run / SUMMARY, read_run(run).model_copy(update=older))
    with pytest.raises(Refusal, match="somebody who asked to be forgotten"):
        publish(BOT, run, models)
    assert "asked to be forgotten" in publish(BOT, run, models, force=True).notes[-2]


def test_the_examples_of_an_older_evaluation_stay_behind(toy: Toy, tmp_path: Path) -> None:
    models, run = BotModels(tmp_path / BOT), shutil.copytree(toy.run, tmp_path / "run")
    older = {"contexts": 300, "examples": [{"context": ["карта 4276 3801 2345 0004"]}]}
    (run / EVALUATION).write_text(json.dumps(older))
    manifest = publish(BOT, run, models, compared=False)
    assert not [
        path for path in models.path(manifest.id).iterdir() if b"4276 38" in path.read_bytes()
    ]


def test_a_model_fine_tuned_elsewhere_is_published_with_its_format_under_the_bots_lock(
    toy: Toy, rugpt3: Path, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    options = ["--bot", str(toy.bot_file), "--from", str(rugpt3)]
    with locked(data_dir / BOT, "busy"):
        assert CliRunner().invoke(app, options).exit_code == 2
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "temporary").iterdir())  # no lock of ours
    models = BotModels(tmp_path / "models" / BOT)
    manifest = verify(models.path(models.current_id() or ""))
    assert (manifest.prompt_format, manifest.stop.strings) == ("plain", ("\n",))
    assert "fine-tuned elsewhere" in manifest.notes
    assert manifest.forgets_until == 0.0


@pytest.mark.parametrize(
    ("option", "says"), [("--run", "no finished run"), ("--from", "no model folder")]
)
def test_the_command_refuses_with_one_line_and_exit_code_2(
    toy: Toy, tmp_path: Path, option: str, says: str
) -> None:
    options = ["--bot", str(toy.bot_file), option, str(tmp_path / "none")]
    result = CliRunner().invoke(app, options)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert says in result.stderr
