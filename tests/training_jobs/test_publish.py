"""Publishing: conversion, manifest, model card, and what cannot be published."""

import errno
import math
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.model_version import MODEL_FILES, BotModels, Manifest, verify
from contracts.refusal import Refusal
from telemetry.job import JobReport
from tests.conftest import BOT, Toy
from training_jobs.fidelity.results import Estimate, Evaluation, Likelihood
from training_jobs.publish import app, publish, report_version
from training_jobs.run_folder import EVALUATION, read_run


def test_a_version_has_all_that_the_contract_names(toy: Toy) -> None:
    version = toy.models.path(toy.models.current_id() or "")
    manifest = verify(version)
    run = read_run(toy.run)
    assert manifest == toy.manifest
    assert (manifest.bot, manifest.base, manifest.precision) == (BOT, "scratch", "int8")
    assert manifest.dataset_sha256 == run.dataset_sha256
    assert manifest.stop.token_ids == (run.eos,)
    assert manifest.metrics["eval_loss"] == run.metrics["eval_loss"]
    assert {*MODEL_FILES, "model.safetensors", "README.md"} <= manifest.files.keys()
    folder = str(toy.run.parent).encode()  # of the machine that trained it, and nobody's business
    assert not [path.name for path in version.iterdir() if folder in path.read_bytes()]
    card = (version / "README.md").read_text(encoding="utf-8")
    assert "fine-tuned from `scratch`" in card
    assert run.dataset_sha256 in card


def test_publishing_again_keeps_the_version_before(toy: Toy, tmp_path: Path) -> None:
    models = BotModels(tmp_path / BOT)
    first = publish(BOT, toy.run, models, datetime(2026, 1, 1, tzinfo=UTC))
    second = publish(BOT, toy.run, models, datetime(2026, 1, 2, tzinfo=UTC))
    assert (models.previous_id(), models.current_id()) == (first.id, second.id)
    assert first.id.startswith("20260101-000000-")


def test_the_same_run_can_be_published_twice_in_a_second(toy: Toy, tmp_path: Path) -> None:
    models, now = BotModels(tmp_path / BOT), datetime(2026, 1, 1, tzinfo=UTC)
    first, second = [publish(BOT, toy.run, models, now).id for _ in range(2)]
    assert (models.ids(), second) == ([first, second], f"{first}-2")


def test_another_bots_run_is_refused(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="of bot 'avtobus'"):
        publish("polkson", toy.run, BotModels(tmp_path / "polkson"))


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "conversion.json",
        "model/model.safetensors",
        "openvino/openvino_model.bin",
    ],
)
def test_an_unfinished_run_is_refused_and_nothing_is_published(
    toy: Toy, tmp_path: Path, name: str
) -> None:
    run = shutil.copytree(toy.run, tmp_path / "run")
    (run / name).unlink()
    models = BotModels(tmp_path / "models" / BOT)
    with pytest.raises(Refusal):
        publish(BOT, run, models)
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


def test_a_volume_that_is_a_file_is_refused(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(Refusal, match="is a file; a folder is wanted"):
        publish(BOT, toy.run, BotModels(tmp_path / "models" / BOT))


def test_versions_older_than_a_day_go_but_current_and_previous(toy: Toy, tmp_path: Path) -> None:
    models = BotModels(tmp_path / BOT)
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    first, second = (publish(BOT, toy.run, models, day).id for day in days)
    stray = shutil.copytree(models.path(first), models.path("20250101-000000-stray"))
    assert models.prune(datetime.now(UTC)) == []
    for path in (stray, models.path(first), models.path(second)):
        os.utime(path, (0, 0))
    assert models.prune(datetime.now(UTC)) == ["20250101-000000-stray"]
    assert models.ids() == [first, second]


def measured(version: Path, bits: float) -> None:
    """Let it be evaluated, with nobody to tell the persona from."""
    one, share = Estimate(bits, bits, bits), Estimate(0.25, 0.0, 0.5)
    foretold = Likelihood(bits_per_character=one, perplexity=one)
    done = Evaluation(
        contexts=5, tuned=foretold, shuffled=foretold, context_gain=one,
        memorised={"tuned": share, "real": share},
    )  # fmt: skip
    (version / EVALUATION).write_text(done.model_dump_json())


def told(models: BotModels, manifest: Manifest) -> dict[str, float]:
    """What the job reports of a version: the figures that are numbers."""
    report = JobReport("publishing", BOT)
    report_version(report, models, manifest)
    families = {each.name: each.samples[0].value for each in report.registry.collect()}
    figures = {name.removeprefix("persona_publishing_"): v for name, v in families.items()}
    assert figures.pop("files") == len(manifest.files)
    assert len(figures) == 6
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def test_the_figures_of_a_version_are_told_beside_those_of_the_one_before(
    toy: Toy, tmp_path: Path
) -> None:
    models, run = BotModels(tmp_path / BOT), shutil.copytree(toy.run, tmp_path / "run")
    assert told(models, publish(BOT, run, models)) == {}
    measured(run, 2.5)
    only = publish(BOT, run, models, force=True)
    shares = {"version_memorised_share": 0.25}
    assert told(models, only) == {"version_bits_per_character": 2.5, **shares}
    measured(run, 2.0)
    new = publish(BOT, run, models, force=True)
    shares["previous_memorised_share"] = 0.25
    bits = {"version_bits_per_character": 2.0, "previous_bits_per_character": 2.5}
    assert told(models, new) == bits | shares
    (models.path(only.id) / EVALUATION).write_text("{")  # which is no reason to fail any more
    assert not any(name.startswith("previous") for name in told(models, new))


def test_the_command_refuses_with_one_line_and_exit_code_2(toy: Toy, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--bot", str(toy.bot_file), "--run", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "no finished run" in result.stderr


def test_a_model_fine_tuned_elsewhere_is_published_with_its_format(
    toy: Toy, rugpt3: Path, tmp_path: Path
) -> None:
    options = ["--bot", str(toy.bot_file), "--from", str(rugpt3), "--prompt-format", "plain"]
    result = CliRunner().invoke(app, options, env={"MODELS_DIR": str(tmp_path / "models")})
    assert result.exit_code == 0, result.output
    models = BotModels(tmp_path / "models" / BOT)
    manifest = verify(models.path(models.current_id() or ""))
    assert (manifest.prompt_format, manifest.stop.strings) == ("plain", ("\n",))
    assert "fine-tuned elsewhere" in manifest.notes


def test_a_folder_that_is_not_there_is_refused(toy: Toy, tmp_path: Path) -> None:
    options = ["--bot", str(toy.bot_file), "--from", str(tmp_path / "none")]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert "no such folder" in result.stderr
