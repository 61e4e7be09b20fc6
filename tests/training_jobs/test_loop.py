"""The loop's promises: one curve, whatever kills it, splits it or shares it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from ctypes.util import find_library
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from contracts.dataset import read_records
from contracts.refusal import Refusal
from telemetry.job import INTERRUPTED, Interrupted
from tests.conftest import BOT, PATIENCE, Toy, free_address, unmeasured
from tests.telemetry.pushgateway import pushgateway
from training_jobs.allocator import PRELOADED
from training_jobs.base import make_base
from training_jobs.checkpoint import FOLDER, Checkpoints
from training_jobs.config import TrainingConfig
from training_jobs.finetune import estimate, finetune
from training_jobs.hardware import Hardware, OutOfMemory, memory_told
from training_jobs.head import summed_loss
from training_jobs.loop import Curve
from training_jobs.packing import IGNORED, Batch, Document
from training_jobs.plan import Plan
from training_jobs.run_folder import Run, read_run

ROOT = Path(__file__).parents[2]
CPU = Hardware(torch.device("cpu"), bf16=False)
SETTINGS = {
    "base": "scratch", "precision": "fp32", "block_tokens": 64, "tokens_per_step": 256,
    "epochs": 2, "max_steps": 14, "measure_share": 0.25, "checkpoint_minutes": 0, "patience": 0,
}  # fmt: skip
SMALL = TrainingConfig.model_validate(SETTINGS)


@pytest.fixture(scope="module")
def whole(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nothing disturbs."""
    return finetune(BOT, SMALL, toy.dataset, tmp_path_factory.mktemp("whole"))


def test_a_run_ended_three_times_has_the_curve_of_the_whole_one(
    toy: Toy, whole: Run, tmp_path: Path
) -> None:
    ends = iter((3, 4, 2))

    class Told(list[int]):
        """Says after so many steps that the run is to end; each run anew."""

        left = 0

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == 0

    for _ in range(3):
        told = Told()
        told.left = next(ends)
        with pytest.raises(Interrupted):
            finetune(BOT, SMALL, toy.dataset, tmp_path, told=told)
    run = finetune(BOT, SMALL, toy.dataset, tmp_path)
    assert run.losses == pytest.approx(whole.losses, abs=1e-5)
    assert dict(run.heldout) == pytest.approx(dict(whole.heldout), abs=1e-5)
    assert run.metrics["perplexity"] == pytest.approx(whole.metrics["perplexity"], abs=1e-4)
    assert not (tmp_path / FOLDER).exists()


def test_killed_with_9_the_same_command_goes_on(toy: Toy, whole: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(toy.dataset), str(tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, env=unmeasured(), check=False)
    assert killed.returncode == -signal.SIGKILL
    run = finetune(BOT, SMALL, toy.dataset, tmp_path)
    assert run.losses == pytest.approx(whole.losses, abs=1e-5)


KILLED = f"""
import os, signal, sys
from pathlib import Path
from training_jobs.config import TrainingConfig
from training_jobs import checkpoint, finetune
real, kept = checkpoint.os.fsync, []
def fsync(number):
    real(number)
    kept.append(number)
    if len(kept) == 4:
        os.kill(os.getpid(), signal.SIGKILL)  # a checkpoint is written and not yet renamed
checkpoint.os.fsync = fsync
config = TrainingConfig.model_validate({SETTINGS!r})
finetune.finetune({BOT!r}, config, Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_sigterm_leaves_a_checkpoint_and_tells_kubernetes_to_go_on(
    toy: Toy, tmp_path: Path
) -> None:
    bot = tmp_path / "bot.yaml"
    often = "epochs: 900, patience: 0, measure_share: 0.001"
    bot.write_text(f"name: {BOT}\ntraining: {{base: scratch, {often}}}\n")
    command = [sys.executable, "-m", "training_jobs.finetune", "--bot", str(bot)]
    options = ["--dataset", str(toy.dataset), "--output", str(tmp_path)]
    with pushgateway() as gateway:
        told = {"PUSHGATEWAY_URL": gateway.url, "no_proxy": "127.0.0.1", "LOG_FORMAT": "json"}
        environment = {**os.environ, **told}
        with subprocess.Popen([*command, *options], cwd=ROOT, env=environment) as job:
            while not (tmp_path / FOLDER / "best.pt").exists():
                assert job.poll() is None
                time.sleep(0.05)
            job.terminate()
            assert job.wait(PATIENCE) == INTERRUPTED
    assert not any("failure" in name or "success" in name for name in gateway.pushed[-1][2])
    assert len(list((tmp_path / FOLDER).glob("step-*.pt"))) == 1


@pytest.mark.parametrize("changed", [{"tokens_at_once": 64}, {"gradient_checkpointing": True}])
def test_how_a_step_is_computed_does_not_change_the_curve(
    toy: Toy, tmp_path: Path, changed: dict[str, object]
) -> None:
    base = _without_dropout(tmp_path / "base", toy)
    still = {**SETTINGS, "base": str(base), "learning_rate": 1e-2}
    curves = [
        finetune(BOT, TrainingConfig.model_validate({**still, **more}), toy.dataset, tmp_path)
        for more in ({}, changed)
    ]
    assert curves[1].losses == pytest.approx(curves[0].losses, abs=1e-4)
    assert curves[1].losses[-1] < curves[1].losses[0] - 0.5


def test_two_processes_have_one_processs_curve(toy: Toy, tmp_path: Path) -> None:
    base = _without_dropout(tmp_path / "base", toy)
    config = {**SETTINGS, "base": str(base), "max_steps": 6, "tokens_at_once": 64}
    alone = finetune(BOT, TrainingConfig.model_validate(config), toy.dataset, tmp_path / "alone")
    command = [sys.executable, "-c", SHARED, repr(config), str(toy.dataset), str(tmp_path / "two")]
    host, _, port = free_address().rpartition(":")
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": host, "MASTER_PORT": port}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **group}
    with ExitStack() as stack:
        processes = []
        for rank in range(2):
            environment["RANK"] = str(rank)
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, env=environment))
            stack.callback(process.kill)  # one that fails leaves the other waiting for it
            processes.append(process)
        assert [process.wait(PATIENCE) for process in processes] == [0, 0]
    assert read_run(tmp_path / "two").losses == pytest.approx(alone.losses, abs=1e-5)


SHARED = f"""
import sys
from contextlib import ExitStack
from ctypes.util import find_library
from pathlib import Path
from training_jobs.config import TrainingConfig
from training_jobs.finetune import finetune
config = TrainingConfig.model_validate(eval(sys.argv[1]))
finetune({BOT!r}, config, Path(sys.argv[2]), Path(sys.argv[3]))
"""


def _without_dropout(folder: Path, toy: Toy) -> Path:
    texts = [
        turn.text for record in read_records(toy.dataset / "train.jsonl") for turn in record.turns
    ]
    base = make_base(texts, seed=1)
    for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
        setattr(base.model.config, name, 0.0)
    base.model.save_pretrained(folder)
    base.tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_lora_learns_and_leaves_a_plain_model(toy: Toy, tmp_path: Path) -> None:
    config = {**SETTINGS, "method": "lora", "learning_rate": 5e-3, "lora_rank": 4}
    run = finetune(BOT, TrainingConfig.model_validate(config), toy.dataset, tmp_path)
    assert run.losses[-1] < run.losses[0]
    base = make_base(["Привет"], seed=1)
    names = set(load_file(tmp_path / "model" / "model.safetensors"))
    assert names <= set(base.model.state_dict())


@pytest.mark.parametrize("bf16", [False, True])
def test_the_chunked_loss_is_the_plain_one_with_its_gradients(bf16: bool) -> None:
    model = make_base(["Привет, заходите"] * 5, seed=1).model.train(False)
    ids = torch.randint(0, model.config.vocab_size, (4, 128))
    labels = ids.masked_fill(torch.rand(ids.shape) < 0.3, IGNORED)
    batch = Batch(ids, torch.arange(128).expand(4, -1), labels)
    results = []
    for chunked in (True, False):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if chunked:
                loss = summed_loss(model, batch)
            else:
                loss = model(input_ids=ids, labels=labels, use_cache=False).loss
                loss = loss * int((labels[:, 1:] != IGNORED).sum())
        loss.backward()  # type: ignore[no-untyped-call]
        results.append((loss.detach(), *(p.grad for p in model.parameters())))
    for ours, plain in zip(*results, strict=True):
        scale = float(plain.abs().max())
        torch.testing.assert_close(ours, plain, atol=(0.05 if bf16 else 1e-4) * scale, rtol=0.02)


def test_lora_goes_on_where_it_was(toy: Toy, tmp_path: Path) -> None:
    config = TrainingConfig.model_validate({**SETTINGS, "method": "lora"})
    whole = finetune(BOT, config, toy.dataset, tmp_path / "whole")
    with pytest.raises(Interrupted):
        finetune(BOT, config, toy.dataset, tmp_path / "ended", told=[signal.SIGTERM])
    run = finetune(BOT, config, toy.dataset, tmp_path / "ended")
    assert run.losses == pytest.approx(whole.losses, abs=1e-5)


def test_a_base_with_other_weights_under_the_same_name_starts_anew(
    toy: Toy, tmp_path: Path
) -> None:
    base = _without_dropout(tmp_path / "base", toy)
    config = TrainingConfig.model_validate({**SETTINGS, "base": str(base)})
    with pytest.raises(Interrupted):
        finetune(BOT, config, toy.dataset, tmp_path / "run", told=[signal.SIGTERM])
    weights = load_file(base / "model.safetensors")
    weights["transformer.wpe.weight"] += 0.01
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    fresh = finetune(BOT, config, toy.dataset, tmp_path / "fresh")
    assert finetune(BOT, config, toy.dataset, tmp_path / "run").losses == fresh.losses


def test_a_refused_command_leaves_the_run_before_whole(toy: Toy, tmp_path: Path) -> None:
    finetune(BOT, SMALL, toy.dataset, tmp_path)
    with pytest.raises(Refusal, match="no such folder"):
        finetune(BOT, SMALL.model_copy(update={"base": "typo"}), toy.dataset, tmp_path)
    assert read_run(tmp_path).bot == BOT


def test_it_stops_when_the_held_out_loss_no_longer_falls_and_keeps_the_best(
    toy: Toy, tmp_path: Path
) -> None:
    changed = {**SETTINGS, "epochs": 200, "max_steps": 400, "measure_share": 0.02, "patience": 2,
               "learning_rate": 2e-2}  # fmt: skip
    run = finetune(BOT, TrainingConfig.model_validate(changed), toy.dataset, tmp_path)
    assert run.metrics["train_steps"] < 400
    best = min(loss for _, loss in run.heldout)
    assert run.metrics["heldout_loss"] == pytest.approx(best, abs=0.01)
    assert any("stopped after" in note for note in run.notes)


def test_the_best_is_kept_unless_a_later_one_is_worth_it() -> None:
    assert Curve(heldout=[(1, 3.0), (2, 2.9995), (3, 2.5), (4, 2.6)]).best == (3, 2.5)
    assert Curve(heldout=[(1, 3.0), (2, 2.9995)]).best == (1, 3.0)


def test_broken_and_foreign_checkpoints_are_passed_over(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path, "mine")
    mine.save(1, {"step": torch.tensor(1)})
    (tmp_path / "step-3.pt").write_bytes(b"half a checkp")
    (tmp_path / "step-4.pt.part").write_bytes(b"")
    assert mine.latest() == {"step": torch.tensor(1)}
    assert Checkpoints(tmp_path, "another").latest() is None
    mine.save(5, {"step": torch.tensor(5)})
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["step-5.pt"]


def test_each_epoch_sees_every_document_once_in_another_order() -> None:
    docs = [Document([number] * 20, [True] * 20) for number in range(30)]
    plan = Plan.of(
        docs, block_tokens=64, pad=0, tokens_per_step=128, tokens_at_once=64, epochs=2,
        max_steps=None, seed=1,
    )  # fmt: skip
    epochs = []
    for epoch in range(2):
        steps = range(epoch * plan.steps_an_epoch, (epoch + 1) * plan.steps_an_epoch)
        passes = [batch for step in steps for batch in plan.step(step)]
        assert all(batch.tokens <= 64 for batch in passes)
        epochs.append([tuple(sorted(set(batch.input_ids.flatten().tolist()))) for batch in passes])
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert plan.tokens == 2 * len(plan.blocks) * 64


def test_jemalloc_is_preloaded_where_it_is_installed() -> None:
    if find_library("jemalloc") is None:
        assert not os.environ.get("CI"), "libjemalloc2 is missing"
        pytest.skip("libjemalloc2 is missing")
    program = "from training_jobs.allocator import *; preload_jemalloc(); give_back_memory(); "
    command = [sys.executable, "-c", program + "print(open('/proc/self/maps').read())"]
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", PRELOADED)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert b"libjemalloc" in done.stdout


def test_out_of_memory_is_told_with_what_to_lower() -> None:
    for error in (MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried")):
        with pytest.raises(OutOfMemory, match=r"lower training\.tokens_at_once"), memory_told():
            raise error
    with pytest.raises(RuntimeError, match="shape"), memory_told():
        raise RuntimeError("shape mismatch")


def test_an_estimate_writes_nothing(toy: Toy) -> None:
    before = sorted(toy.dataset.rglob("*"))
    told = estimate(SMALL, toy.dataset)
    assert "tokens in 14 steps" in told
    assert "GiB of memory" in told
    assert sorted(toy.dataset.rglob("*")) == before
