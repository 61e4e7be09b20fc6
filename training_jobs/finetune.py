"""The fine-tuning job: a data set and a base go in, a fine-tuned model comes out.

After SIGTERM it writes a checkpoint and ends with exit code 75; the same command goes on there.
"""

from training_jobs.jemalloc import preload_jemalloc
from training_jobs.model_libraries import require_training_packages

if __name__ == "__main__":
    require_training_packages()
    preload_jemalloc()  # the process starts anew: better before torch is loaded

import math
import signal
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.dataset import Card, dataset_sha256, read_card
from contracts.files import write_model
from contracts.refusal import parse
from contracts.sampling import CANDIDATES
from contracts.settings import Volumes, from_environment
from telemetry.job import BotOption, DatasetOption, JobReport, SkipOption, command, job, job_app
from telemetry.logs import logger
from training_jobs.bot_config import (
    BaseOption,
    EpochsOption,
    MethodOption,
    StepsOption,
    TrainingConfig,
)
from training_jobs.evaluation.contexts import BASE_TOKENS, MOST_CONTEXTS
from training_jobs.evaluation.hits import GROUP
from training_jobs.hardware import peak_memory, refuse_out_of_memory
from training_jobs.progress import TrainingProgress
from training_jobs.run_folder import SUMMARY, Run, prepare, read_run, write_run
from training_jobs.training_loop import train
from training_jobs.training_run import TrainingRun

ESTIMATE_STEPS = 3
EVALUATED, GENERATING = 3, 4
"""Models that an evaluation reads with: the base, the run's and the version that serves; and how
many tokens could be read while one is generated, about.
"""


def finetune(
    bot: str,
    config: TrainingConfig,
    dataset: Path,
    output: Path,
    report: JobReport | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Load the base and the documents, train, and write the run folder.

    Raises Interrupted, with a checkpoint written, after the step at which `should_stop` is true.
    """
    with refuse_out_of_memory():
        training = TrainingRun(config, dataset, output)
        prepare(output)
        progress = train(training, report or JobReport("training", bot), should_stop)
        run = _describe(bot, training, progress)
        write_run(output, training.base.save, run)
        training.checkpoints.clear()
    return run


def _describe(bot: str, training: TrainingRun, progress: TrainingProgress) -> Run:
    notes = training.base.notes
    if training.left_out:
        longer = f"longer than {training.block_tokens} tokens"
        notes += (f"{training.left_out} turns {longer} left out",)
    if progress.steps < training.steps:
        done = f"{progress.steps} of {training.steps} steps"
        notes += (f"stopped after {done}: the held-out loss rose",)
    card = training.card
    return Run(
        bot=bot,
        base=training.config.base,
        dataset_sha256=card.sha256,
        forgets_until=card.forgets_until,
        eos=training.base.vocabulary.eos,
        context_turns=card.context_turns,
        licence=training.base.licence,
        base_revision=training.base.revision,
        notes=notes,
        data={
            "chats": card.chats,
            "messages": card.messages_used,
            "persona messages": card.persona_messages,
            "records learned from": card.train_records,
            "records held out": card.heldout_records,
        },
        metrics=_metrics(progress),
        losses=progress.losses,
        heldout=progress.heldout,
    )


def _renewed(folder: Path, card: Card) -> Run:
    """Return the finished run, with the card's people left out: the records are the same."""
    run = read_run(folder)
    if run.forgets_until != card.forgets_until:
        run = run.model_copy(update={"forgets_until": card.forgets_until})
        write_model(folder / SUMMARY, run)
    return run


def _metrics(progress: TrainingProgress) -> dict[str, float]:
    metrics = {
        "train_loss": sum(progress.losses) / progress.steps,
        "train_steps": float(progress.steps),
        "train_tokens": float(progress.tokens),
        "train_seconds": progress.seconds,
    }
    if (loss := progress.best_loss) is not None:
        metrics |= {"heldout_loss": loss, "heldout_perplexity": math.exp(loss)}
    return metrics


def estimate(config: TrainingConfig, dataset: Path) -> str:
    """Return what the run would cost, extrapolated from a few steps of it; nothing is kept."""
    with TemporaryDirectory() as folder, refuse_out_of_memory():
        began = time.monotonic()
        training = TrainingRun(config, dataset, Path(folder))
        steps, loaded = training.steps, time.monotonic()
        if training.measured:
            training.heldout_loss()
        once = time.monotonic() - loaded
        read = once / max(1, sum(len(document.ids) for document in training.measured))
        measuring = once * math.ceil(1 / config.measure_share)
        evaluation = timedelta(seconds=round(read * _evaluation(training)))
        training.measured.clear()
        training.config = config.model_copy(update={"max_steps": ESTIMATE_STEPS})
        progress = train(training, JobReport("training", ""), lambda: False)
    rate, tokens = progress.tokens_per_second, steps * training.step_blocks * training.block_tokens
    most = timedelta(seconds=round(tokens / rate + measuring + loaded - began))
    return (
        f"{len(training.documents)} documents, {len(training.heldout)} held out"
        f"\nat most {tokens} tokens in {steps} steps, at {rate:.0f} tokens/s at most {most}"
        f"\nevaluation about {evaluation}"
        f"\n{peak_memory() / 2**30:.1f} GiB of memory"
    )


def _evaluation(training: TrainingRun) -> int:
    """Return how many tokens an evaluation reads, generated ones counted as those read meanwhile:
    each context with its answer, then with the ten answers to pick from, and replies to it.
    """
    contexts = training.heldout[:MOST_CONTEXTS]
    whole = sum(len(document.ids) for document in contexts)
    answers = sum(document.loss_tokens for document in contexts)
    generated = CANDIDATES * answers + BASE_TOKENS * len(contexts)
    return EVALUATED * (2 * whole + GROUP * answers) + GENERATING * generated


def report_run(report: JobReport, done: Run) -> None:
    """
    train_loss          mean loss of the run, nats a token
    train_steps         optimizer steps
    train_tokens        tokens seen, padding included
    train_seconds       seconds of training
    heldout_perplexity  e to the power of heldout_loss, of the weights that were kept
    """
    report.gauges("Figure of the last run.", done.metrics)


def _config(bot: BotFile, given: Mapping[str, object]) -> TrainingConfig:
    """Return the bot's settings, with what the command line changes of them."""
    config = bot.section("training", TrainingConfig).model_dump()
    changed = {key: value for key, value in given.items() if value is not None}
    return parse(TrainingConfig, {**config, **changed}, "command line")


def main(
    bot: BotOption,
    dataset: DatasetOption = None,
    output: Annotated[Path | None, typer.Option(help="Run folder [DATA_DIR/<bot>/run].")] = None,
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
            file = BotFile.read(bot)
            source = dataset or from_environment(Volumes).dataset(file.name)
            print(estimate(_config(file, given), source))
        return
    with job("training", bot, skip_unchanged) as context:
        stop = Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        name, volumes = context.bot.name, context.volumes
        config = _config(context.bot, given)
        source, folder = dataset or volumes.dataset(name), output or volumes.run(name)
        done = context.make_if_changed(
            folder / "run.made-from",
            # of a card that differs, for the people whom it leaves out, nothing is learned
            (dataset_sha256(source), read_card(source).persona, config),
            read=lambda: _renewed(folder, read_card(source)),
            make=lambda: finetune(name, config, source, folder, context.report, stop.is_set),
        )
        report_run(context.report, done)
        figures = {name: float(f"{value:.4g}") for name, value in done.metrics.items()}
        logger().info("fine-tuned", bot=name, base=done.base, folder=str(folder), **figures)


app = job_app(main)

if __name__ == "__main__":
    app()
