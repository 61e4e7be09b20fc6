"""The fine-tuning job: a data set and a base go in, a fine-tuned model comes out.

`finetune` lists the steps. Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

from datetime import timedelta
from itertools import chain
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.dataset import HELDOUT, TRAIN, Card, dataset_sha256, read_card, read_records
from contracts.refusal import Refusal, end_process, parse
from contracts.settings import Volumes, from_environment
from telemetry.jobs import JobReport, PushSettings, job_report
from telemetry.logs import LogSettings, configure, logger
from training_jobs.base import SCRATCH, Base, load_base, make_base
from training_jobs.config import TrainingConfig
from training_jobs.figures import Figures, evaluate, printed
from training_jobs.loop import Trained, cpu_has_bf16, train
from training_jobs.packing import Examples, batches, documents
from training_jobs.quiet import quieten
from training_jobs.run_folder import Run, prepare, write_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def finetune(bot: str, config: TrainingConfig, dataset: Path, output: Path) -> Run:
    """Base, documents, training, figures, files."""
    card = read_card(dataset)
    if dataset_sha256(dataset) != card.sha256:
        raise Refusal(f"{dataset}: the records are not those of the card; build the data set again")
    prepare(output)
    base = _base(config, dataset)
    block_tokens = min(config.block_tokens, base.context)
    learn = _documents(dataset / TRAIN, config, card, base, block_tokens)
    held = _documents(dataset / HELDOUT, config, card, base, block_tokens)
    if not learn.documents:
        raise Refusal(f"{dataset}: no record fits into a block of {block_tokens} tokens")

    trained = train(base.model, learn.documents, config, block_tokens, base.words.eos)
    figures = evaluate(
        base.model,
        batches(held.documents, block_tokens, 4096, base.words.eos, Random(0)),
        cpu_has_bf16(),
    )
    run = _summary(bot, base, card, learn, held, trained, figures, block_tokens)
    try:
        write_run(output, base, run)
    except OSError as error:
        raise Refusal(f"{output}: cannot write the model ({error.strerror})") from None
    return run


def _base(config: TrainingConfig, dataset: Path) -> Base:
    if config.base != SCRATCH:
        return load_base(config.base, from_environment(Volumes))
    turns = chain.from_iterable(record.turns for record in read_records(dataset / TRAIN))
    return make_base((turn.text for turn in turns), config.seed)


def _documents(
    path: Path, config: TrainingConfig, card: Card, base: Base, block_tokens: int
) -> Examples:
    return documents(
        read_records(path),
        base.words,
        block_tokens,
        last_turn_only=card.whole_chat,
        all_turns=config.loss_on == "all",
    )


def _summary(
    bot: str,
    base: Base,
    card: Card,
    learn: Examples,
    held: Examples,
    trained: Trained,
    figures: Figures,
    block_tokens: int,
) -> Run:
    metrics = {
        "train_loss": trained.loss,
        "train_steps": float(trained.steps),
        "train_tokens": float(trained.tokens),
        "train_runtime": trained.seconds,
        "train_tokens_per_second": trained.tokens / max(trained.seconds, 1e-9),
        "train_samples": float(len(learn.documents)),
    }
    if held.documents:
        metrics |= {
            "eval_loss": figures.loss,
            "eval_accuracy": figures.accuracy,
            "eval_samples": float(len(held.documents)),
            "perplexity": figures.perplexity,
        }
    skipped = (f"{learn.skipped} turns longer than {block_tokens} tokens left out",)
    return Run(
        bot=bot,
        base=base.name,
        dataset_sha256=card.sha256,
        eos=base.words.eos,
        notes=base.notes + (skipped if learn.skipped else ()),
        metrics=metrics,
        losses=trained.losses,
    )


def _print(run: Run) -> None:
    for title, prefix in (("train", "train_"), ("eval", "eval_")):
        chosen: dict[str, float | str] = {
            key: value for key, value in run.metrics.items() if key.startswith(prefix)
        }
        if prefix == "eval_" and "perplexity" in run.metrics:
            chosen["perplexity"] = run.metrics["perplexity"]
        if "train_runtime" in chosen:
            chosen["train_runtime"] = str(timedelta(seconds=round(run.metrics["train_runtime"])))
        if chosen:
            print(printed(title, chosen))


def run(bot: BotFile, dataset: Path | None, output: Path | None, config: TrainingConfig) -> Run:
    """The job as the command line calls it."""
    volumes = from_environment(Volumes)
    output = output or volumes.run(bot.name)
    with job_report("training", bot.name, from_environment(PushSettings)) as report:
        done = finetune(bot.name, config, dataset or volumes.dataset(bot.name), output)
        report_run(report, done)
    _print(done)
    logger().info("fine-tuned", bot=bot.name, base=done.base, folder=str(output))
    return done


def report_run(report: JobReport, done: Run) -> None:
    report.gauges("Figure of the last run, named as run_clm names it.", done.metrics)


@app.command()
def main(
    bot: Annotated[Path, typer.Option(help="The bot's file, e.g. k8s/bots/avtobus/bot.yaml.")],
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the data set [DATA_DIR/<bot>/dataset].")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the model [DATA_DIR/<bot>/run].")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="A folder, a hub name, demo, or scratch; instead of bot.yaml's."),
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data set.")] = None,
    max_steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps, if the epochs last that long.")
    ] = None,
) -> None:
    """Fine-tune a GPT-2 on a data set."""
    try:
        configure(from_environment(LogSettings), "training")
        quieten()
        file = BotFile.read(bot)
        config = file.section("training", TrainingConfig)
        given = {"base": base, "epochs": epochs, "max_steps": max_steps}
        changed = {key: value for key, value in given.items() if value is not None}
        values = {**config.model_dump(), **changed}
        run(file, dataset, output, parse(TrainingConfig, values, "command line"))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app()
