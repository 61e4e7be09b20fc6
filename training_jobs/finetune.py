"""The fine-tuning job: a data set and a base go in, a fine-tuned model comes out.

After SIGTERM it writes a checkpoint and ends with exit code 75; the same command goes on there.
"""

from training_jobs.allocator import preload_jemalloc
from training_jobs.libraries import require_training_packages

if __name__ == "__main__":
    require_training_packages()
    preload_jemalloc()  # the process starts anew: better before torch is loaded

import math
import signal
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.refusal import parse
from contracts.settings import Volumes, from_environment
from telemetry.job import BotOption, DatasetOption, JobReport, SkipOption, command, job, job_app
from telemetry.logs import logger
from training_jobs.config import BaseOption, EpochsOption, MethodOption, StepsOption, TrainingConfig
from training_jobs.figures import printed
from training_jobs.hardware import hardware, memory_told, peak_memory
from training_jobs.job import Job, train
from training_jobs.libraries import quieten
from training_jobs.loop import Curve
from training_jobs.run_folder import Run, prepare, read_run, write_run
from training_jobs.watch import Watch

ESTIMATE_STEPS = 3


def finetune(
    bot: str,
    config: TrainingConfig,
    dataset: Path,
    output: Path,
    report: JobReport | None = None,
    told: list[int] | None = None,
) -> Run:
    """Load the base and the documents, train, measure, and write the run folder.

    Raises Interrupted, with a checkpoint written, soon after `told` has become non-empty.
    """
    with hardware(config.precision) as machine, memory_told():
        job = Job(config, dataset, output, machine)
        prepare(output)
        watch = Watch(report or JobReport("training", bot), job.plan.steps_an_epoch)
        curve = train(job, watch, [] if told is None else told)
        run = _describe(bot, job, curve)
        if machine.leads:
            job.base.model.to("cpu")  # type: ignore[arg-type]
            write_run(output, job.base, run)
            job.checkpoints.clear()
    return run


def _describe(bot: str, job: Job, curve: Curve) -> Run:
    notes = job.base.notes
    if job.learn.skipped:
        notes += (f"{job.learn.skipped} turns longer than {job.block_tokens} tokens left out",)
    if curve.steps < job.plan.steps:
        notes += (f"stopped after {curve.steps} of {job.plan.steps} steps: the held-out loss rose",)
    card = job.card
    return Run(
        bot=bot,
        base=job.base.name,
        dataset_sha256=card.sha256,
        eos=job.base.words.eos,
        licence=job.base.licence,
        notes=notes,
        data={
            "chats": card.chats,
            "messages": card.messages_used,
            "persona messages": card.persona_messages,
            "records learned from": card.train_records,
            "records held out": card.heldout_records,
        },
        metrics=_metrics(job, curve),
        losses=curve.losses,
        heldout=curve.heldout,
    )


def _metrics(job: Job, curve: Curve) -> dict[str, float]:
    """Return the figures under run_clm's names, counted as it counts them, with one exception.

    train_loss is of the persona's turns, since only they are learned; the figures of those turns in
    the held-out part begin with heldout_.
    """
    seconds = max(curve.seconds, 1e-9)
    metrics = {
        "train_loss": curve.loss,
        "train_steps": float(curve.steps),
        "train_tokens": float(curve.tokens),
        "train_runtime": curve.seconds,
        "train_samples": float(len(job.plan.blocks)),
        "train_samples_per_second": curve.tokens / job.block_tokens / seconds,
        "train_tokens_per_second": curve.tokens / seconds,
    }
    began = time.monotonic()
    if (clm := job.clm_figures()) is not None:
        runtime = max(time.monotonic() - began, 1e-9)
        metrics |= {
            "eval_loss": clm.loss,
            "eval_accuracy": clm.accuracy,
            "eval_samples": float(clm.blocks),
            "eval_samples_per_second": clm.blocks / runtime,
            "perplexity": clm.perplexity,
        }
    if (figures := job.figures()) is not None:
        metrics |= {
            "heldout_loss": figures.loss,
            "heldout_accuracy": figures.accuracy,
            "heldout_perplexity": figures.perplexity,
        }
    return metrics


def estimate(config: TrainingConfig, dataset: Path) -> str:
    """Return what the run would cost, extrapolated from a few steps of it; nothing is kept."""
    with TemporaryDirectory() as folder, hardware(config.precision) as machine, memory_told():
        began = time.monotonic()
        job = Job(config, dataset, Path(folder), machine)
        tried = config.model_copy(update={"max_steps": ESTIMATE_STEPS, "measure_share": 1.0})
        steps, tokens = job.plan.steps, job.plan.tokens
        job.config, job.plan.max_steps = tried, ESTIMATE_STEPS
        loaded = time.monotonic()
        job.figures()
        measuring = (time.monotonic() - loaded) * (1 + math.ceil(1 / config.measure_share))
        job.measured.clear()
        curve = train(job, Watch(JobReport("training", ""), 1), [])
    rate = curve.tokens / max(curve.seconds, 1e-9)
    most = timedelta(seconds=round(tokens / rate + measuring + loaded - began))
    return (
        f"{len(job.learn.documents)} documents, {len(job.held.documents)} held out"
        f"\n{tokens} tokens in {steps} steps, at {rate:.0f} tokens/s at most {most}"
        f"\n{peak_memory() / 2**30:.1f} GiB of memory"
    )


def _print(metrics: dict[str, float]) -> None:
    """Print the figures in blocks as run_clm does."""
    runtime = timedelta(seconds=round(metrics["train_runtime"]))
    shown: dict[str, float | str] = {**metrics, "train_runtime": str(runtime)}
    blocks = {
        "train": ("train_",),
        "eval": ("eval_", "perplexity"),
        "held-out persona": ("heldout_",),
    }
    for title, prefixes in blocks.items():
        if chosen := {key: value for key, value in shown.items() if key.startswith(prefixes)}:
            print(printed(title, chosen))


def report_run(report: JobReport, done: Run) -> None:
    report.gauges("Figure of the last run, named as run_clm names it.", done.metrics)


def _config(bot: BotFile, given: Mapping[str, object]) -> TrainingConfig:
    """Return the bot's settings, with what the command line changes of them."""
    config = bot.section("training", TrainingConfig).model_dump()
    changed = {key: value for key, value in given.items() if value is not None}
    return parse(TrainingConfig, {**config, **changed}, "command line")


def main(
    bot: BotOption,
    dataset: DatasetOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the model [DATA_DIR/<bot>/run].")
    ] = None,
    base: BaseOption = None,
    epochs: EpochsOption = None,
    max_steps: StepsOption = None,
    method: MethodOption = None,
    estimate_only: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost in time and memory, and end.")
    ] = False,
    skip_unchanged: SkipOption = False,
) -> None:
    """Fine-tune a GPT-2 on a data set. Killed, the same command goes on where it was."""
    given = {"base": base, "epochs": epochs, "max_steps": max_steps, "method": method}
    if estimate_only:
        with command("training"):
            quieten()
            file = BotFile.read(bot)
            source = dataset or from_environment(Volumes).dataset(file.name)
            print(estimate(_config(file, given), source))
        return
    with job("training", bot, output, skip_unchanged) as context:
        quieten()
        told: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        name, volumes = context.bot.name, context.volumes
        config = _config(context.bot, given)
        source, folder = dataset or volumes.dataset(name), output or volumes.run(name)
        done = context.make_if_changed(
            folder / "run.made-from",
            (source, config),
            read=lambda: read_run(folder),
            make=lambda: finetune(name, config, source, folder, context.report, told),
        )
        report_run(context.report, done)
        _print(done.metrics)
        logger().info("fine-tuned", bot=name, base=done.base, folder=str(folder))


app = job_app(main)

if __name__ == "__main__":
    app()
