"""The loop's promises: one loss curve, whatever kills a run, splits its steps or shares them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2LMHeadModel

from contracts.dataset import HELDOUT, TRAIN, read_records
from contracts.refusal import Refusal
from services.sandbox.teacher import ESTIMATE
from telemetry.job import INTERRUPTED, Interrupted
from tests.conftest import BOT, PATIENCE, Toy
from tests.debian_package import need
from tests.telemetry.pushgateway import pushgateway
from tests.tiny_base import make_model
from tests.training_jobs.conftest import write_gpt2
from training_jobs import training_loop
from training_jobs.bot_config import TrainingConfig
from training_jobs.checkpoint import FOLDER, STEP, Checkpoints
from training_jobs.finetune import estimate, finetune
from training_jobs.hardware import detect_hardware, refuse_out_of_memory
from training_jobs.jemalloc import PRELOADED
from training_jobs.language_model import load_model
from training_jobs.loss import document_losses, summed_loss
from training_jobs.model_libraries import require_training_packages
from training_jobs.packing import IGNORED, Batch, render_documents
from training_jobs.progress import FILE
from training_jobs.run_folder import Run, read_run
from training_jobs.samples import QUESTIONS
from training_jobs.training_run import TrainingRun

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "precision": "fp32", "block_tokens": 64, "tokens_per_step": 256, "epochs": 2, "max_steps": 14,
    "measure_share": 0.25, "checkpoint_minutes": 0, "patience": 0,
}  # fmt: skip
LORA = {"method": "lora", "learning_rate": 0.05, "lora_rank": 4}
Train = Callable[..., Run]


@pytest.fixture
def train(toy: Toy, tmp_path: Path) -> Train:
    """Train with SETTINGS, and others if they are given, into a folder of that name."""

    def run(folder: str = "run", stop: Callable[[], bool] = lambda: False, **other: object) -> Run:
        config = TrainingConfig.model_validate({**SETTINGS, "base": str(toy.base), **other})
        return finetune(BOT, config, toy.dataset, tmp_path / folder, should_stop=stop)

    return run


@pytest.fixture
def still_base(toy: Toy, tmp_path: Path) -> Path:
    """A base without dropout, whose losses do not depend on how a step is computed."""
    records = read_records(toy.dataset / TRAIN)
    base = make_model([turn.text for record in records for turn in record.turns])
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
        setattr(base.model.config, name, 0.0)
    base.save(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize(("method", "stops"), [({}, (3, 4, 2)), (LORA, (1,))])
def test_a_run_that_is_interrupted_has_the_curve_of_a_whole_one_and_leaves_a_plain_model(
    train: Train, tmp_path: Path, rugpt3: Path, method: dict[str, object], stops: tuple[int, ...]
) -> None:
    settings = {**method, **({"base": str(rugpt3)} if method else {})}
    whole = train("whole", **settings)
    for steps in stops:
        answers = iter([False] * (steps - 1) + [True])
        with pytest.raises(Interrupted):
            train(stop=answers.__next__, **settings)
    run = train(**settings)
    assert run.losses == pytest.approx(whole.losses, abs=1e-5)
    assert dict(run.heldout) == pytest.approx(dict(whole.heldout), abs=1e-5)
    assert run.metrics["heldout_loss"] == pytest.approx(whole.metrics["heldout_loss"], abs=1e-5)
    assert not (tmp_path / "run" / FOLDER).exists()
    told = json.loads((tmp_path / "run" / FILE).read_text(encoding="utf-8"))
    assert [step for step, _ in told["samples"]] == [step for step, _ in told["heldout"]]
    assert {question for _, replies in told["samples"] for question, _ in replies} == {*QUESTIONS}
    assert run.losses[-1] < run.losses[0]
    weights = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert weights.keys() <= make_model(["Привет"]).model.state_dict().keys()


def test_killed_with_9_the_same_command_goes_on(toy: Toy, train: Train, tmp_path: Path) -> None:
    settings = {**SETTINGS, "base": str(toy.base)}
    command = [
        sys.executable,
        "-c",
        KILLED,
        repr(settings),
        str(toy.dataset),
        str(tmp_path / "run"),
    ]
    killed = subprocess.run(command, cwd=ROOT, env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert train().losses == pytest.approx(train("whole").losses, abs=1e-5)


KILLED = f"""
import itertools, os, signal, sys
from pathlib import Path
from training_jobs.bot_config import TrainingConfig
from training_jobs.finetune import finetune
real, calls = os.fsync, itertools.count(1)
def fsync(number):
    real(number)
    if next(calls) == 4:
        os.kill(os.getpid(), signal.SIGKILL)  # a checkpoint is written and not yet renamed
os.fsync = fsync
config = TrainingConfig.model_validate(eval(sys.argv[1]))
finetune({BOT!r}, config, Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_sigterm_leaves_a_checkpoint_and_the_exit_code_says_to_start_it_again(
    toy: Toy, tmp_path: Path
) -> None:
    bot = tmp_path / "bot.yaml"
    often = "epochs: 900, patience: 0, measure_share: 0.001"
    bot.write_text(f"name: {BOT}\ntraining: {{base: {toy.base}, {often}}}\n")
    command = [sys.executable, "-m", "training_jobs.finetune", "--bot", str(bot)]
    options = ["--dataset", str(toy.dataset), "--output", str(tmp_path)]
    with pushgateway() as gateway:
        own = {"PUSHGATEWAY_URL": gateway.url, "no_proxy": "127.0.0.1", "LOG_FORMAT": "json"}
        environment = {**os.environ, **own}
        with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as job:
            while not (tmp_path / FOLDER / "best.pt").exists():
                assert job.poll() is None
                time.sleep(0.05)
            job.terminate()
            assert job.wait(PATIENCE) == INTERRUPTED
    assert not any("failure" in name or "success" in name for name in gateway.pushed[-1][2])
    assert (tmp_path / FOLDER / "step.pt").exists()


@pytest.mark.parametrize("changed", [{"tokens_at_once": 64}, {"gradient_checkpointing": True}])
def test_how_a_step_is_computed_does_not_change_the_loss_curve(
    train: Train, still_base: Path, changed: dict[str, object]
) -> None:
    still = {"base": str(still_base), "learning_rate": 1e-2}
    plain, other = train(**still).losses, train(**still, **changed).losses
    assert other == pytest.approx(plain, abs=1e-4)
    assert other[-1] < other[0] - 0.5


@pytest.mark.parametrize("bf16", [False, True])
def test_the_chunked_loss_is_the_plain_one_with_its_gradients(bf16: bool) -> None:
    model = make_model(["Привет, заходите"] * 5).model.train(False)
    ids = torch.randint(0, model.config.vocab_size, (4, 128))
    labels = ids.masked_fill(torch.rand(ids.shape) < 0.3, IGNORED)
    batch = Batch(ids, torch.arange(128).expand(4, -1), labels)

    def plain_loss(model: GPT2LMHeadModel, batch: Batch) -> Tensor:
        loss: Tensor = model(**batch.inputs, labels=batch.labels).loss
        return loss * batch.loss_tokens

    results = []
    for loss_of in (summed_loss, plain_loss):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        results.append((loss.detach(), *(p.grad for p in model.parameters())))
    for ours, plain in zip(*results, strict=True):
        scale = float(plain.abs().max())
        torch.testing.assert_close(ours, plain, atol=(0.05 if bf16 else 1e-4) * scale, rtol=0.02)


def test_a_base_with_other_weights_under_the_same_name_starts_anew(
    train: Train, still_base: Path
) -> None:
    with pytest.raises(Interrupted):
        train(stop=lambda: True, base=str(still_base))
    weights = load_file(still_base / "model.safetensors")
    weights["transformer.wpe.weight"] += 0.01
    save_file(weights, still_base / "model.safetensors", {"format": "pt"})
    assert train(base=str(still_base)).losses == train("fresh", base=str(still_base)).losses


def test_a_refused_command_leaves_the_run_before_whole(train: Train, tmp_path: Path) -> None:
    train()
    with pytest.raises(Refusal, match="no such folder"):
        train(base="typo")
    with pytest.raises(Refusal, match="LoRA cannot learn the tokens"):
        train(**LORA, base=str(write_gpt2(tmp_path / "base", special=())))
    assert read_run(tmp_path / "run").bot == BOT


def test_lora_takes_a_base_whose_commit_nobody_knows(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_DIR", str(tmp_path))
    shutil.copytree(toy.base, tmp_path / "owner--name")
    base = f"owner/name@{'1' * 40}"
    config = TrainingConfig.model_validate({**SETTINGS, **LORA, "base": base})
    assert TrainingRun(config, toy.dataset, tmp_path / "run").base.revision == ""


def test_it_stops_when_the_held_out_loss_no_longer_falls_and_keeps_the_best(
    toy: Toy, train: Train, tmp_path: Path
) -> None:
    often = {"epochs": 200, "max_steps": 400, "measure_share": 0.02, "patience": 2}
    run = train(**often, learning_rate=2e-2)
    assert run.metrics["train_steps"] < 400
    best = min(loss for _, loss in run.heldout)
    assert run.metrics["heldout_loss"] == pytest.approx(best, abs=0.01)
    kept = load_model(tmp_path / "run" / "model")
    heldout, _ = render_documents(read_records(toy.dataset / HELDOUT), kept.vocabulary, 64)
    loss = sum(document_losses(kept.model, heldout, detect_hardware("fp32")))
    tokens = sum(document.loss_tokens for document in heldout)
    assert loss / tokens == pytest.approx(run.metrics["heldout_loss"], abs=1e-4)
    assert any("stopped after" in note for note in run.notes)


def test_broken_and_foreign_checkpoints_are_passed_over(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path, "mine")
    for number in (1, 2):
        mine.save(STEP, {"step": torch.tensor(number)})
    (tmp_path / "step.pt.part").write_bytes(b"half a checkp")
    assert mine.load(STEP) == {"step": torch.tensor(2)}
    assert Checkpoints(tmp_path, "another").load(STEP) is None
    (tmp_path / "step.pt").write_bytes(b"half a checkp")
    assert mine.load(STEP) is None


def test_each_epoch_has_every_document_once_in_another_order(toy: Toy, tmp_path: Path) -> None:
    own = {"base": str(toy.base), "max_steps": None, "tokens_at_once": 64}
    config = TrainingConfig.model_validate({**SETTINGS, **own})
    run = TrainingRun(config, toy.dataset, tmp_path)
    assert run.steps == 2 * run.steps_per_epoch
    epochs = []
    for first in (0, run.steps_per_epoch):
        passes = [each for n in range(run.steps_per_epoch) for each in run.step(first + n)]
        assert all(batch.tokens == 64 for batch in passes)
        epochs.append([batch.input_ids.flatten().tolist() for batch in passes])
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1])


def test_unused_memory_is_given_back_now_and_then(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[None] = []
    monkeypatch.setattr(training_loop, "RELEASE_STEPS", 5)
    monkeypatch.setattr(training_loop, "release_memory", lambda: released.append(None))
    train(max_steps=12)
    assert len(released) == 2


def test_jemalloc_is_preloaded_where_it_is_installed() -> None:
    need("libjemalloc2", "jemalloc")
    program = "from training_jobs.jemalloc import *; preload_jemalloc(); release_memory(); "
    command = [sys.executable, "-c", program + "print(open('/proc/self/maps').read())"]
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", PRELOADED)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert b"libjemalloc" in done.stdout


@pytest.mark.parametrize(("own", "policy"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_it_is_set_otherwise(
    monkeypatch: pytest.MonkeyPatch, own: str | None, policy: str
) -> None:
    monkeypatch.setattr(os, "environ", {} if own is None else {"OMP_WAIT_POLICY": own})
    require_training_packages()
    assert os.environ["OMP_WAIT_POLICY"] == policy


def test_out_of_memory_is_refused_with_what_to_lower() -> None:
    for error in (MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried")):
        with pytest.raises(Refusal, match=r"lower training\.tokens_at"), refuse_out_of_memory():
            raise error
    with pytest.raises(RuntimeError, match="shape"), refuse_out_of_memory():
        raise RuntimeError("shape mismatch")


def test_an_estimate_writes_nothing(toy: Toy) -> None:
    before = sorted(toy.dataset.rglob("*"))
    config = TrainingConfig.model_validate({**SETTINGS, "base": str(toy.base)})
    text = estimate(config, toy.dataset)
    assert "tokens in 14 steps" in text
    assert re.search(r"^evaluation about 0:00:\d\d$", text, re.MULTILINE)
    assert "GiB of memory" in text
    assert ESTIMATE.search(text)  # what the demo's page reads of it
    assert sorted(toy.dataset.rglob("*")) == before
