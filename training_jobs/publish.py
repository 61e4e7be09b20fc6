"""The publishing job: a finished run goes in, a served model version comes out.

`publish` lists the steps. Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

import hashlib
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contracts.model_version import (
    SCHEMA,
    BotModels,
    Manifest,
    Stop,
    hash_files,
)
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal
from telemetry.job import BotOption, JobReport, RunOption, SkipUnchanged, job
from telemetry.logs import logger
from training_jobs.fidelity.results import Evaluation, figures, read_evaluation
from training_jobs.gate import objections
from training_jobs.installed import require_training_packages
from training_jobs.run_folder import (
    Conversion,
    Run,
    parts,
    read_conversion,
    read_run,
    served,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MODEL_CARD = "README.md"
COMPARED = ("bits_per_character", "attribution_tuned", "memorised_share")
"""Figures that are reported of a version and of the one before it."""


def now() -> datetime:
    return datetime.now(UTC)


def publish(
    bot: str,
    run_folder: Path,
    models: BotModels,
    clock: Callable[[], datetime] = now,
    force: bool = False,
    compared: bool = True,
) -> Manifest:
    """Judge, copy aside, describe, hash, and let `current` name the result.

    Raises Refusal, with the number that is against it, unless forced; what was overridden is noted.
    Unless `compared`, it need not have been evaluated against the version that serves.
    """
    run, conversion = read_run(run_folder), read_conversion(run_folder)
    if run.bot != bot:
        raise Refusal(f"{run_folder}: is a run of bot {run.bot!r}, not of {bot!r}")
    evaluation = read_evaluation(run_folder)
    try:
        with models.locked(), models.staging() as staged:
            current = models.current_id()
            if not compared:
                current = evaluation.current_id if evaluation else None
            notes = _notes(run_folder, run, conversion, evaluation, current, force)
            created = clock()
            _copy(run_folder, staged)
            card = model_card(run, conversion, evaluation, notes, created)
            (staged / MODEL_CARD).write_text(card, encoding="utf-8")
            files = hash_files(staged)
            manifest = Manifest(
                schema=SCHEMA,
                id=models.new_id(created, _content(files)),
                bot=run.bot,
                created=created,
                base=run.base,
                dataset_sha256=run.dataset_sha256,
                prompt_format=run.prompt_format,
                stop=Stop(token_ids=(run.eos,), strings=run.prompt_format.stop_strings),
                precision=conversion.precision,
                metrics={k: v for k, v in run.metrics.items() if math.isfinite(v)},
                notes=notes,
                files=files,
            )
            models.publish(staged, manifest)
            with suppress(OSError):  # it serves already; the next one prunes again
                models.prune(created)
    except OSError as error:
        raise Refusal(
            f"{models.folder}: cannot write the version ({error.strerror});"
            " the one before goes on serving"
        ) from None
    return manifest


def _notes(
    run_folder: Path,
    run: Run,
    conversion: Conversion,
    evaluation: Evaluation | None,
    current: str | None,
    force: bool,
) -> tuple[str, ...]:
    """What the version's figures do not say; raises Refusal when the gate keeps it out."""
    against = list(objections(conversion, evaluation, current))
    if against and not force:
        raise Refusal(f"{run_folder}: {'; '.join(against)}. --force publishes it all the same")
    notes = run.notes + tuple(f"published by force: {each}" for each in against)
    return notes if evaluation is not None else (*notes, "not evaluated")


def _copy(run_folder: Path, staged: Path) -> None:
    for path in parts(run_folder):
        shutil.copyfile(path, staged / path.name)


def _content(files: dict[str, str]) -> str:
    return hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()


def model_card(
    run: Run,
    conversion: Conversion,
    evaluation: Evaluation | None,
    notes: tuple[str, ...],
    created: datetime,
) -> str:
    """The text of a version's README.md."""
    drift = conversion.perplexity_drift
    figures = [f"{name}: {value:.4g}" for name, value in sorted(run.metrics.items())]
    parts = {
        "Data": [f"{name}: {count}" for name, count in run.data.items()],
        "Held-out part": list(evaluation.lines()) if evaluation else [],
        "Training": figures,
        "Notes": list(notes),
    }
    return (
        f"# {run.bot}\n\nA persona model, fine-tuned from `{run.base}` on {created:%Y-%m-%d}."
        f" It imitates how a chat or a person writes; what it says is not theirs. The base's"
        f" licence ({run.licence or 'not declared in its folder'}) holds for it too.\n\n"
        f"Data set: SHA-256 `{run.dataset_sha256}`. Weights for serving: {conversion.precision};"
        f" perplexity against the trained model's:"
        f" {'not measured' if drift is None else f'{drift:+.2%}'}.\n"
        + "".join(
            f"\n## {title}\n" + "".join(f"- {line}\n" for line in lines)
            for title, lines in parts.items()
            if lines
        )
    )


def report_version(report: JobReport, models: BotModels, manifest: Manifest) -> None:
    """What was measured of it, and of the version that a rollback would return to."""
    report.gauge("files", "Files in the published version.", len(manifest.files))
    for name, version in (("version", manifest.id), ("previous", models.previous_id())):
        found = figures(None if version is None else _evaluation(models.path(version)))
        text = f"Of the {name} when it was evaluated."
        report.gauges(text, {f"{name}_{each}": found[each] for each in COMPARED})


def _evaluation(version: Path) -> Evaluation | None:
    """None as well where it cannot be read: the new version serves all the same."""
    try:
        return read_evaluation(version)
    except (Refusal, OSError):
        return None


@app.command()
def main(
    bot: BotOption,
    run: RunOption = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="A GPT-2 that was fine-tuned elsewhere.")
    ] = None,
    prompt_format: Annotated[
        PromptFormat, typer.Option(help="With --from: how its training texts were written.")
    ] = PromptFormat.TURNS_1,
    force: Annotated[
        bool, typer.Option("--force", help="Publish whatever the figures say; it is noted.")
    ] = False,
    skip_unchanged: SkipUnchanged = False,
) -> None:
    """Publish a converted model as the version that is served, if its figures allow it."""
    with job("publishing", bot, run, skip_unchanged) as context, TemporaryDirectory() as aside:
        name = context.bot.name
        folder = run or context.volumes.run(name)
        models = BotModels(context.volumes.models(name))
        if source is not None:
            folder = Path(aside)
            _take_over(name, source, prompt_format, folder)
        manifest = served(folder, models) if skip_unchanged else None
        if manifest is None:
            manifest = publish(name, folder, models, force=force)
        else:
            logger().info("unchanged", bot=name, folder=str(models.folder))
        report_version(context.report, models, manifest)
        logger().info("published", bot=name, version=manifest.id, folder=str(models.folder))


def _take_over(bot: str, source: Path, prompt_format: PromptFormat, folder: Path) -> None:
    """Make a run folder of a model that was fine-tuned elsewhere."""
    if not source.is_dir():
        raise Refusal(f"--from {source}: no such folder")
    require_training_packages()
    from training_jobs.foreign import foreign_run  # needs torch: publishing alone does not

    foreign_run(bot, source, prompt_format, folder)


if __name__ == "__main__":
    app()
