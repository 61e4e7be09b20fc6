"""The publishing job: a finished run goes in, a served model version comes out."""

import math
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contracts.files import Locked, write_model
from contracts.model_version import SCHEMA, BotModels, Manifest, Serving, Stop, hash_files
from contracts.refusal import Refusal
from telemetry.job import BotOption, JobReport, RunOption, SkipOption, job, job_app
from telemetry.logs import logger
from training_jobs import run_folder
from training_jobs.evaluation.results import Evaluation, read_evaluation
from training_jobs.model_libraries import require_training_packages
from training_jobs.quality_gate import objections, unjudged
from training_jobs.run_folder import Conversion, Run

MODEL_CARD = "README.md"
COPIED = {"bot", "base", "base_revision", "dataset_sha256", "forgets_until", "prompt_format"}
COPIED |= {"context_turns"}
"""Fields of a run that its manifest has too."""


def publish(
    bot: str, folder: Path, models: BotModels, force: bool = False, compared: bool = True
) -> Manifest:
    """Judge the run, copy it aside, describe and hash it, and let `current` name the result.

    force     publish it whatever the gate objects to; its notes say so
    compared  the run must have been evaluated against the version that serves now

    Raises Refusal, with the number that is against it.
    """
    run, conversion = run_folder.read_run(folder), run_folder.read_conversion(folder)
    evaluation = read_evaluation(folder)
    if run.bot != bot:
        raise Refusal(f"{folder}: is a run of bot {run.bot!r}, not of {bot!r}")
    now = datetime.now(UTC)
    try:
        with models.staging() as staged:
            against = _against(run, conversion, evaluation, models, compared)
            if against and not force:
                reasons = "; ".join(against)
                raise Refusal(f"{folder}: {reasons}. --force publishes it all the same")
            notes = [*run.notes, *(f"published by force: {each}" for each in against)]
            notes += unjudged(evaluation)
            for path in run_folder.published_files(folder):
                shutil.copyfile(path, staged / path.name)
            if evaluation is not None:  # an older one's file may hold examples
                write_model(staged / run_folder.EVALUATION, evaluation)
            card = model_card(run, conversion, evaluation, notes, now)
            (staged / MODEL_CARD).write_text(card, encoding="utf-8")
            manifest = _manifest(run, conversion, notes, now, staged)
            models.publish(staged, manifest)
    except OSError as error:
        raise Refusal(
            f"{models.folder}: cannot write the version ({error.strerror});"
            " the one before goes on serving"
        ) from None
    with suppress(OSError, Locked):  # it serves already; the next one prunes again
        models.prune(now)
    return manifest


def _against(
    run: Run,
    conversion: Conversion,
    evaluation: Evaluation | None,
    models: BotModels,
    compared: bool,
) -> list[str]:
    """Return what speaks against serving the run in the place of the current version."""
    current = models.current_id()
    learned = run.forgets_until, run.dataset_sha256
    forgets_more = models.holds_forgotten(current, *learned)
    judged = current if compared or evaluation is None else evaluation.current_id
    found = list(objections(conversion, evaluation, judged, forgets_more))
    if run.forgets_until < models.forgets_until(current):
        found.append(f"it holds somebody who asked to be forgotten, {current} does not")
    return found


def _manifest(
    run: Run, conversion: Conversion, notes: list[str], now: datetime, staged: Path
) -> Manifest:
    return Manifest(
        **run.model_dump(include=COPIED),
        schema=SCHEMA,
        id=f"{now:%Y%m%d-%H%M%S-%f}",
        created=now,
        stop=Stop(token_ids=(run.eos,), strings=run.prompt_format.stop_strings),
        precision=conversion.precision,
        metrics={k: v for k, v in run.metrics.items() if math.isfinite(v)},
        notes=tuple(notes),
        files=hash_files(staged),
    )


def model_card(
    run: Run, conversion: Conversion, evaluation: Evaluation | None, notes: list[str], now: datetime
) -> str:
    """Return the text of a version's README.md."""
    drift = conversion.perplexity_drift
    sections = {
        "Data": [f"{name}: {count}" for name, count in run.data.items()],
        "Held-out part": list(evaluation.lines()) if evaluation else [],
        "Training": [f"{name}: {value:.4g}" for name, value in sorted(run.metrics.items())],
        "Notes": notes,
    }
    return (
        f"# {run.bot}\n\nA persona model, fine-tuned from `{run.base}`"
        f" (commit {run.base_revision or 'not known'}) on {now:%Y-%m-%d}."
        f" It imitates how a chat or a person writes; what it says is not theirs. The base's"
        f" licence ({run.licence or 'not declared in its folder'}) holds for it too.\n\n"
        f"Data set: SHA-256 `{run.dataset_sha256}`. Weights for serving: {conversion.precision};"
        f" perplexity against the trained model's:"
        f" {'not measured' if drift is None else f'{drift:+.2%}'}.\n"
        + "".join(
            f"\n## {title}\n" + "".join(f"- {line}\n" for line in lines)
            for title, lines in sections.items()
            if lines
        )
    )


def report_version(report: JobReport, manifest: Manifest) -> None:
    report.gauge("files", "Files in the published version.", len(manifest.files))


def main(
    bot: BotOption,
    run: RunOption = None,
    source: Annotated[Path | None, typer.Option("--from", help="A GPT-2 from elsewhere.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Ignore the gate; it is noted.")] = False,
    skip_unchanged: SkipOption = False,
) -> None:
    """Publish a converted model as the version that is served, if its figures allow it."""
    with job("publishing", bot, skip_unchanged) as context, TemporaryDirectory() as adopted:
        name = context.bot.name
        models, folder = BotModels(context.volumes.models(name)), run or context.volumes.run(name)
        if source is not None:
            require_training_packages()
            from training_jobs.convert import adopt  # needs torch: publishing alone does not

            folder = Path(adopted)
            adopt(name, source, folder)
        manifest = run_folder.served(folder, models) if skip_unchanged else None
        if manifest is None:
            manifest = publish(name, folder, models, force=force)
        else:
            logger().info("unchanged", bot=name, folder=str(models.folder))
            forgets_until = run_folder.read_run(folder).forgets_until
            if manifest.forgets_until < forgets_until:
                manifest = models.renew(forgets_until)
            with suppress(OSError, Locked):
                models.prune(datetime.now(UTC), Serving.read(context.volumes.serving(name)))
        report_version(context.report, manifest)
        logger().info("published", bot=name, version=manifest.id, folder=str(models.folder))


app = job_app(main)

if __name__ == "__main__":
    app()
