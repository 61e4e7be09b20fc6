"""A bot's published versions on the command line: list them, roll back, prune."""

from datetime import UTC, datetime
from pathlib import Path

from contracts.bot_file import BotFile
from contracts.model_version import BotModels, Serving, read_manifest
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from telemetry.job import BotOption, command, job_app

app = job_app()


def _models(bot: Path) -> BotModels:
    return BotModels(from_environment(Volumes).models(BotFile.read(bot).name))


@app.command("list")
def list_versions(bot: BotOption) -> None:
    """Show the versions, oldest first, with figure and notes."""
    with command("versions"):
        models = _models(bot)
        marks = {models.previous_id(): "previous", models.current_id(): "current"}
        for version in models.ids():
            mark, description = marks.get(version, ""), _describe(models.path(version))
            print(f"{version}  {mark:8}  {description}".rstrip())


def _describe(version: Path) -> str:
    try:
        manifest = read_manifest(version)
    except (Refusal, OSError) as error:
        return f"broken: {error}"
    perplexity = manifest.metrics.get("heldout_perplexity")
    figure = "" if perplexity is None else f", held-out perplexity {perplexity:.2f}"
    return "; ".join((f"{manifest.precision} of {manifest.base}{figure}", *manifest.notes))


@app.command()
def rollback(bot: BotOption) -> None:
    """Serve the previous version again. A running service switches to it."""
    with command("versions"):
        print(_models(bot).roll_back())


@app.command()
def prune(bot: BotOption) -> None:
    """Remove versions older than a day. The current and the previous one stay.

    But the previous one goes too if it holds somebody who asked to be forgotten, once the current
    one has served for a day.
    """
    with command("versions"):
        name, volumes = BotFile.read(bot).name, from_environment(Volumes)
        serving = Serving.read(volumes.serving(name))
        for version in BotModels(volumes.models(name)).prune(datetime.now(UTC), serving):
            print(version)


if __name__ == "__main__":
    app()
