"""The owner's view of a bot's published versions: list them, roll back, prune."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from contracts.bot_file import BotFile
from contracts.model_version import BotModels, ModelVersionError, read_manifest
from contracts.refusal import Refusal, end_process
from contracts.settings import Volumes, from_environment
from telemetry.job import BotOption

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _models(bot: Path) -> BotModels:
    return BotModels(from_environment(Volumes).models(BotFile.read(bot).name))


@app.command("list")
def list_versions(bot: BotOption) -> None:
    """Show the versions, oldest first, with their main figures."""
    try:
        models = _models(bot)
        marks = {models.previous_id(): "previous", models.current_id(): "current"}
        for version in models.ids():
            print(f"{version}  {marks.get(version, ''):8}  {_told(models.path(version))}".rstrip())
    except Refusal as refusal:
        end_process(refusal)


def _told(version: Path) -> str:
    try:
        manifest = read_manifest(version)
    except (ModelVersionError, OSError) as error:
        return f"broken: {error}"
    perplexity = manifest.metrics.get("perplexity")
    figure = "" if perplexity is None else f", perplexity {perplexity:.2f}"
    return f"{manifest.precision} of {manifest.base}{figure}"


@app.command()
def rollback(bot: BotOption) -> None:
    """Let the version before serve again; a running service takes it over."""
    try:
        print(_models(bot).roll_back())
    except Refusal as refusal:
        end_process(refusal)


@app.command()
def prune(bot: BotOption) -> None:
    """Remove versions older than a day, but not the current one and the one before."""
    try:
        for version in _models(bot).prune(datetime.now(UTC)):
            print(version)
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app()
