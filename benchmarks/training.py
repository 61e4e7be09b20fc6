"""Fine-tuning against `transformers.Trainer` with run_clm's defaults, ruGPT3Small's shape.

All sides learn the same packed batches of 1,024 tokens by turns, each time in a new process.
Speeds are medians over all steps but each process's first two. Losses are compared on the same
schedule with dropout off. `python -m benchmarks.training --json FILE` (10 minutes)
"""

import os

from training_jobs.jemalloc import preload_jemalloc

if __name__ == "__main__" and os.environ.get("ALLOCATOR") == "ours":
    preload_jemalloc()  # the process starts anew: better before torch is loaded

import json as jsonlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import Trainer as PlainTrainer
from transformers import TrainerCallback, TrainingArguments

from benchmarks.support.report import JsonOption, Line, at_most, report
from benchmarks.support.rugpt3_shape import write_rugpt3
from contracts.conversation import Conversation
from extraction_jobs.build_dataset import build
from extraction_jobs.inputs import ExtractionConfig, Inputs
from extraction_jobs.sample_chats.__main__ import main as write_sample_chats
from extraction_jobs.stored_export import Source
from telemetry.job import JobReport
from training_jobs.bot_config import TrainingConfig
from training_jobs.hardware import peak_memory
from training_jobs.training_loop import schedule, train
from training_jobs.training_run import TrainingRun

SIDES = ("plain", "full", "lora")
STEPS, LOSS_STEPS = 8, 30
FULL_BAR, LORA_BAR = 2.3, 3.0
FULL_GB, LORA_GB, START_SECONDS, LOSS_SHARE = 3.5, 1.8, 20.0, 0.01
TOKENS = 1024


def side(name: str, root: Path, steps: int, dropout: bool) -> dict[str, Any]:
    """Train once in this process: step seconds, losses, peak bytes, seconds to the first step."""
    seconds: list[float] = []
    config = TrainingConfig(
        base=str(root / "base"), method="lora" if name == "lora" else "full", learning_rate=5e-5,
        max_steps=steps, epochs=100, patience=0, measure_share=1.0, tokens_per_step=TOKENS,
        precision="fp32" if name == "plain" else "auto",
    )  # fmt: skip
    run = TrainingRun(config, root / "dataset", root / "run")
    run.measured.clear()
    if not dropout:
        for module in run.base.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    started = time.perf_counter()
    first: list[float] = []

    def step_done() -> None:
        seconds.append(time.perf_counter() - started - sum(seconds))
        first.append(time.time() - float(os.environ["STARTED"]))

    losses = (plain if name == "plain" else ours)(run, steps, step_done)
    return {
        "losses": losses,
        "seconds": seconds,
        "peak": peak_memory(),
        "first": first[0],
    }


def ours(run: TrainingRun, steps: int, step_done: Callable[[], None]) -> list[float]:
    def after_step() -> bool:
        step_done()
        return False

    return train(run, JobReport("training", "benchmark"), after_step).losses


def plain(run: TrainingRun, steps: int, step_done: Callable[[], None]) -> list[float]:
    """Run the Trainer as run_clm does, but with our schedule and betas, so that losses compare."""
    batches = [batch for step in range(steps) for batch in run.step(step)]
    rows = [
        {"input_ids": ids, "position_ids": places, "labels": labels}
        for batch in batches
        for ids, places, labels in zip(
            batch.input_ids, batch.position_ids, batch.labels, strict=True
        )
    ]
    model: Any = run.base.model
    model.config.use_cache = False
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}],
        lr=5e-5, betas=(0.9, 0.99),
    )  # fmt: skip
    warmup = max(1, int(steps * run.config.warmup_share))
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(step, steps, warmup))
    losses: list[float] = []

    class Steps(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            step_done()

        def on_log(self, *_: Any, **event: Any) -> None:
            logs = event["logs"]
            losses.extend([logs["loss"]] if "loss" in logs else [])

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=steps, logging_steps=1, report_to=[], save_strategy="no",
            per_device_train_batch_size=run.step_blocks, use_cpu=True, disable_tqdm=True,
            train_sampling_strategy="sequential",
        )  # fmt: skip
        PlainTrainer(
            model=model, args=arguments, train_dataset=rows, callbacks=[Steps()],
            optimizers=(optimizer, rates),
        ).train()  # fmt: skip
    return losses


def apart(name: str, root: Path, steps: int, dropout: bool) -> dict[str, Any]:
    """Run `side` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training", "--side", name]
    options = ["--root", str(root), "--steps", str(steps), *([] if dropout else ["--no-dropout"])]
    environment = {**os.environ, "STARTED": str(time.time()), "LOG_LEVEL": "error"}
    if name != "plain":
        environment["ALLOCATOR"] = "ours"
    done = subprocess.run([*command, *options], env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = jsonlib.loads(done.stdout.splitlines()[-1])
    return found


def prepare(root: Path) -> None:
    """Write a base of ruGPT3Small's shape and a data set of the sample chat."""
    write_rugpt3(root / "base")
    write_sample_chats(root)
    export = Source.of(root / "avtobus/exports/result.json")
    config = ExtractionConfig(persona="whole-chat")
    build(Inputs("avtobus", config, Conversation(), [export]), root / "dataset")


def compare(root: Path, rounds: int) -> list[Line]:
    prepare(root)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in SIDES:
            runs[name].append(apart(name, root, STEPS, dropout=True))
    speed = {
        name: TOKENS / statistics.median(s for run in of for s in run["seconds"][2:])
        for name, of in runs.items()
    }
    peak = {name: max(run["peak"] for run in of) / 1e9 for name, of in runs.items()}
    first = max(run["first"] for name in ("full", "lora") for run in runs[name])
    last = {
        name: statistics.mean(apart(name, root, LOSS_STEPS, dropout=False)["losses"][-5:])
        for name in ("plain", "full")
    }
    share = abs(last["full"] - last["plain"]) / last["plain"]
    return [
        Line("full, tokens/s", speed["full"], speed["plain"], FULL_BAR),
        Line("LoRA, tokens/s", speed["lora"], speed["plain"], LORA_BAR),
        at_most("peak of full, GB", peak["full"], FULL_GB),
        at_most("peak of LoRA, GB", peak["lora"], LORA_GB),
        at_most("first step after, s", first, START_SECONDS),
        at_most("loss after 30 steps, share that it differs", share, LOSS_SHARE),
    ]


def main(
    json: JsonOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 3,
    only: Annotated[str | None, typer.Option("--side", hidden=True)] = None,
    root: Annotated[Path | None, typer.Option(hidden=True)] = None,
    steps: Annotated[int, typer.Option(hidden=True)] = STEPS,
    dropout: Annotated[bool, typer.Option(hidden=True)] = True,
) -> None:
    """Compare both ways of fine-tuning."""
    if only and root:
        print(jsonlib.dumps(side(only, root, steps, dropout)))
        return
    with tempfile.TemporaryDirectory() as folder:
        report(compare(Path(folder), rounds), json)


if __name__ == "__main__":
    typer.run(main)
