"""`python -m training_jobs.sample_bots`: publish the kept sample bots, or keep newly trained ones.

`training_jobs/sample_bots/<bot>/` is a run folder without the trained weights, with a hash of what
it was made from. It is published as any run is.
"""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contracts.bot_file import BotFile, bot_path
from contracts.files import whole_folder, write_model
from contracts.model_version import BotModels, is_whole, read_manifest
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from telemetry.job import command, fingerprint, job_app
from training_jobs import run_folder
from training_jobs.evaluation.results import read_evaluation
from training_jobs.publish import MODEL_CARD, model_card, publish

app = job_app(None, Volumes)

BOTS = ("avtobus", "polkson")
BOTS_DIR = Path("k8s/bots")
FOLDER = Path(__file__).parent
BASE = [
    FOLDER.parent / "demo_base" / name
    for name in ("config.json", "model.safetensors", "tokenizer.json")
]
MADE_FROM = "made-from"
NOTE = "kept ready to serve, without the full-precision weights that training could go on from"
"""A published version with this note was not trained here."""


@app.command("publish")
def publish_all() -> None:
    """Publish the kept bots. Says when they were made from other inputs than those here."""
    with command("sample_bots"):
        volumes = from_environment(Volumes)
    for bot in BOTS:
        models = BotModels(volumes.models(bot))
        try:
            _publish(bot, models, volumes)
        except (Refusal, OSError) as error:  # the other bots can be talked with
            print(f"{bot}: {error}; with {models.folder} removed the kept one serves", flush=True)


def _publish(bot: str, models: BotModels, volumes: Volumes) -> None:
    version, is_kept = publish_kept(bot, FOLDER / bot, models)
    if not is_kept:
        print(f"{bot}: version {version} serves, trained here; remove {models.folder} for the kept")
        return
    print(f"{bot}: version {version} serves, as kept in the project")
    with suppress(Refusal):  # a bad bot file is refused by all who serve it
        if (FOLDER / bot / MADE_FROM).read_text(encoding="utf-8") != inputs_hash(bot, volumes):
            print(
                f"{bot}: was made from another chat, base or training settings than those here now;"
                " `make models TRAIN=1` trains it anew, `make sample-bots` renews what is kept"
            )


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
    return publish(bot, folder, models, compared=False).id, True


@app.command("keep")
def keep_all(output: Annotated[Path, typer.Option(help="Where they are kept.")] = FOLDER) -> None:
    """Keep what serves of both bots. They were trained on the volume of data."""
    with command("sample_bots"):
        volumes = from_environment(Volumes)
        for bot in BOTS:
            keep(volumes.run(bot), inputs_hash(bot, volumes), output / bot)


def keep(finished: Path, made_from: str, folder: Path) -> None:
    """Replace what is kept in `folder` by the parts of a finished run that serve."""
    run, conversion = run_folder.read_run(finished), run_folder.read_conversion(finished)
    run = run.model_copy(update={"notes": (*run.notes, NOTE)})
    evaluation, now = read_evaluation(finished), datetime.now(UTC)
    with whole_folder(folder) as kept:
        shutil.copytree(finished / run_folder.CONVERTED, kept / run_folder.CONVERTED)
        for name in (run_folder.CONVERSION, run_folder.EVALUATION):
            shutil.copyfile(finished / name, kept / name)
        write_model(kept / run_folder.SUMMARY, run)
        card = model_card(run, conversion, evaluation, list(run.notes), now)
        (kept / MODEL_CARD).write_text(card, encoding="utf-8")
        (kept / MADE_FROM).write_text(made_from, encoding="utf-8")


def inputs_hash(bot: str, volumes: Volumes) -> str:
    """Hash what a bot is made from: its export, the demo base, and its settings of training."""
    sections = BotFile.read(bot_path(BOTS_DIR, bot)).sections
    settings = (str(sections[name]) for name in ("conversation", "extraction", "training"))
    return fingerprint((volumes.exports(bot) / "result.json", *BASE, *settings))


if __name__ == "__main__":
    app()
