"""The publishing job: a finished run goes in, a served model version comes out.

`publish` lists the steps. Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.model_version import SCHEMA, BotModels, Manifest, Stop, hash_files
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal, end_process
from contracts.settings import Volumes, from_environment
from telemetry.jobs import PushSettings, job_report
from telemetry.logs import LogSettings, configure, logger
from training_jobs.convert import PRECISION, convert
from training_jobs.run_folder import MODEL, Run, read_run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

MODEL_CARD = "README.md"


def now() -> datetime:
    return datetime.now(UTC)


def publish(
    bot: str, run_folder: Path, models: BotModels, clock: Callable[[], datetime] = now
) -> Manifest:
    """Convert aside, describe, hash, and let `current` name the result."""
    run = read_run(run_folder)
    if run.bot != bot:
        raise Refusal(f"{run_folder}: is a run of bot {run.bot!r}, not of {bot!r}")
    try:
        with models.locked(), models.staging() as staged:
            convert(run_folder / MODEL, staged)
            created = clock()
            (staged / MODEL_CARD).write_text(_model_card(run, created), encoding="utf-8")
            manifest = _manifest(run, models, hash_files(staged), created)
            models.publish(staged, manifest)
            models.prune(created)
    except OSError as error:
        raise Refusal(
            f"{models.folder}: cannot write the version ({error.strerror});"
            " the one before goes on serving"
        ) from None
    return manifest


def _manifest(run: Run, models: BotModels, files: dict[str, str], created: datetime) -> Manifest:
    content = hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()
    metrics = {key: value for key, value in run.metrics.items() if math.isfinite(value)}
    return Manifest(
        schema=SCHEMA,
        id=models.new_id(created, content),
        bot=run.bot,
        created=created,
        base=run.base,
        dataset_sha256=run.dataset_sha256,
        prompt_format=PromptFormat.TURNS_1,
        stop=Stop(token_ids=(run.eos,)),
        precision=PRECISION,
        metrics=metrics,
        notes=run.notes,
        files=files,
    )


def _model_card(run: Run, created: datetime) -> str:
    figures = "\n".join(f"- {key}: {value:.4g}" for key, value in sorted(run.metrics.items()))
    notes = "".join(f"- {note}\n" for note in run.notes)
    return (
        f"# {run.bot}\n\nA persona model, fine-tuned from `{run.base}` on {created:%Y-%m-%d}."
        f" It imitates how a chat or a person writes; what it says is not theirs.\n\n"
        f"Data set: SHA-256 `{run.dataset_sha256}`. Weights for serving: {PRECISION}.\n\n"
        f"## Figures\n{figures}\n" + (f"\n## Notes\n{notes}" if notes else "")
    )


def run(bot: BotFile, run_folder: Path | None) -> Manifest:
    """The job as the command line calls it."""
    volumes = from_environment(Volumes)
    models = BotModels(volumes.models(bot.name))
    with job_report("publishing", bot.name, from_environment(PushSettings)) as report:
        manifest = publish(bot.name, run_folder or volumes.run(bot.name), models)
        report.gauge("files", "Files in the published version.", len(manifest.files))
    logger().info("published", bot=bot.name, version=manifest.id, folder=str(models.folder))
    return manifest


@app.command()
def main(
    bot: Annotated[Path, typer.Option(help="The bot's file, e.g. k8s/bots/avtobus/bot.yaml.")],
    run_folder: Annotated[
        Path | None, typer.Option("--run", help="Folder of the run [DATA_DIR/<bot>/run].")
    ] = None,
) -> None:
    """Publish a fine-tuned model as the version that is served."""
    try:
        configure(from_environment(LogSettings), "publishing")
        run(BotFile.read(bot), run_folder)
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app()
