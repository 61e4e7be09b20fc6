"""`python -m training_jobs.sample_bots`: publish the kept sample bots, or keep newly trained ones.

`training_jobs/sample_bots/<bot>/` is a run folder without the trained weights and the loss of each
step. It is published as any run is.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.files import whole_folder, write_model
from contracts.model_version import BotModels, is_whole, read_manifest
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from telemetry.job import command, job_app
from training_jobs import run_folder
from training_jobs.evaluation.results import read_evaluation
from training_jobs.publish import MODEL_CARD, model_card, publish

app = job_app()

BOTS = ("avtobus", "polkson")
FOLDER = Path(__file__).parent
NOTE = "kept ready to serve, without the full-precision weights that training could go on from"
"""A published version with this note was not trained here."""


@app.command("publish")
def publish_all() -> None:
    """Publish the kept bots. One that was trained here goes on serving."""
    with command("sample_bots"):
        volumes = from_environment(Volumes)
    for bot in BOTS:
        models = BotModels(volumes.models(bot))
        try:
            _publish(bot, models)
        except (Refusal, OSError) as error:  # the other bots can be talked with
            print(f"{bot}: {error}; with {models.folder} removed the kept one serves", flush=True)


def _publish(bot: str, models: BotModels) -> None:
    version, is_kept = publish_kept(bot, FOLDER / bot, models)
    if is_kept:
        print(f"{bot}: version {version} serves, as kept in the project")
    else:
        print(f"{bot}: version {version} serves, trained here; remove {models.folder} for the kept")


def publish_kept(bot: str, folder: Path, models: BotModels) -> tuple[str, bool]:
    """Publish the kept bot, unless a version that was trained here serves.

    Returns the id of the version that serves, and whether it is the kept one. Raises Refusal where
    the current version cannot be read or the kept one cannot be published.
    """
    current = models.current_id()
    if current is not None:
        if NOTE not in read_manifest(models.path(current)).notes:
            return current, False
        if run_folder.served(folder, models) is not None and is_whole(models.path(current)):
            return current, True
    # its phrases are few and invented: that it repeats them is what it is for
    return publish(bot, folder, models, force=True, compared=False).id, True


@app.command("keep")
def keep_all(output: Annotated[Path, typer.Option(help="Where they are kept.")] = FOLDER) -> None:
    """Keep what serves of both bots. They were trained on the volume of data."""
    with command("sample_bots"):
        volumes = from_environment(Volumes)
        for bot in BOTS:
            keep(volumes.run(bot), output / bot)


def keep(finished: Path, folder: Path) -> None:
    """Replace what is kept in `folder` by the parts of a finished run that serve."""
    run, conversion = run_folder.read_run(finished), run_folder.read_conversion(finished)
    run = run.model_copy(update={"notes": (*run.notes, NOTE), "losses": []})
    evaluation, now = read_evaluation(finished), datetime.now(UTC)
    with whole_folder(folder) as kept:
        shutil.copytree(finished / run_folder.CONVERTED, kept / run_folder.CONVERTED)
        for name in (run_folder.CONVERSION, run_folder.EVALUATION):
            shutil.copyfile(finished / name, kept / name)
        write_model(kept / run_folder.SUMMARY, run)
        card = model_card(run, conversion, evaluation, list(run.notes), now)
        (kept / MODEL_CARD).write_text(card, encoding="utf-8")


if __name__ == "__main__":
    app()
