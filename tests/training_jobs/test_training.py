"""The loop and its figures, and the fine-tuning job around them."""

import math
import resource
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GPT2LMHeadModel
from typer.testing import CliRunner

from contracts.refusal import Refusal
from telemetry.job import Interrupted
from tests.conftest import BOT, Toy
from training_jobs.bot_config import TrainingConfig
from training_jobs.finetune import app, finetune
from training_jobs.loss import summed_loss
from training_jobs.packing import Batch
from training_jobs.run_folder import read_run
from training_jobs.training_loop import schedule


@pytest.fixture
def tiny(toy: Toy) -> TrainingConfig:
    """Three steps."""
    return TrainingConfig(base=str(toy.base), max_steps=3, block_tokens=64, tokens_per_step=256)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_no_number_stops_the_run_and_the_checkpoint_before_it_is_good(
    toy: Toy, tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    steps = iter(range(9))

    def spoiled(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
        loss = summed_loss(model, batch)
        if next(steps) < 2:
            return loss
        return loss * math.nan if what == "loss" else loss + (0 * loss).sqrt()  # its slope is not

    monkeypatch.setattr("training_jobs.training_loop.summed_loss", spoiled)
    often = tiny.model_copy(update={"checkpoint_minutes": 0.0, "max_steps": 5})
    with pytest.raises(Refusal, match=rf"the {what} is .* step 2; lower .*learning_rate"):
        finetune(BOT, often, toy.dataset, tmp_path)
    content = torch.load(tmp_path / "checkpoints" / "step.pt", weights_only=True)["content"]
    assert len(content["progress"]["losses"]) == 2
    assert all(weights.isfinite().all() for weights in content["weights"].values())
    with pytest.raises(Refusal, match="no finished run"):
        read_run(tmp_path)


def test_a_full_disk_ends_the_run_in_one_line_and_the_checkpoint_before_it_is_kept(
    toy: Toy, tiny: TrainingConfig, tmp_path: Path
) -> None:
    often = tiny.model_copy(update={"checkpoint_minutes": 0.0, "max_steps": 5})
    with pytest.raises(Interrupted):
        finetune(BOT, often, toy.dataset, tmp_path, should_stop=lambda: True)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, most))  # as a disk that is full by then
    try:
        with pytest.raises(Refusal, match=r"\.pt: cannot write a checkpoint \(.*File too large\)"):
            finetune(BOT, often, toy.dataset, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {
        "step.pt",
        "best.pt",
    }
    assert finetune(BOT, often, toy.dataset, tmp_path).metrics["train_steps"] == 5


@pytest.mark.parametrize(
    ("step", "share"), [(0, 0.1), (9, 1.0), (10, 1.0), (55, 0.55), (99, 0.1003)]
)
def test_the_rate_warms_up_and_falls_along_a_cosine(step: int, share: float) -> None:
    assert schedule(step, steps=100, warmup=10) == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(
    ("parameters", "documents", "given", "rate"),
    [
        (8_000_000, 7000, None, 5e-4),
        (8_000_000, 500, None, 1e-4),
        (125_000_000, 500, None, 5e-5),
        (8_000_000, 500, 1e-3, 1e-3),
    ],
)
def test_the_default_rate_depends_on_the_size(
    parameters: int, documents: int, given: float | None, rate: float
) -> None:
    found = TrainingConfig(learning_rate=given).rate_for(parameters, documents)
    assert found == pytest.approx(rate)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("dataset.json", None, "no data set here"),
        ("dataset.json", "{", "dataset.json: Invalid JSON"),
        ("train.jsonl", '{"v": 1}\n', "not those of the card"),
    ],
)
def test_a_broken_data_set_is_refused(
    toy: Toy, tiny: TrainingConfig, tmp_path: Path, name: str, content: str | None, says: str
) -> None:
    dataset = shutil.copytree(toy.dataset, tmp_path / "dataset")
    (dataset / name).unlink()
    if content is not None:
        (dataset / name).write_text(content)
    with pytest.raises(Refusal, match=says):
        finetune(BOT, tiny, dataset, tmp_path / "run")


@pytest.mark.parametrize("option", ["--epochs=0", "--output={tmp}/file", "--bot={tmp}/none.yaml"])
def test_a_bad_option_is_refused_before_training(toy: Toy, tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    known = ["--bot", str(toy.bot_file), "--dataset", str(toy.dataset), "--base", str(toy.base)]
    result = CliRunner().invoke(app, [*known, option.format(tmp=tmp_path)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("error: ")
