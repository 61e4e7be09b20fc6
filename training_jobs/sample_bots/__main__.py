"""`python -m training_jobs.sample_bots`: publish the kept sample bots, or make them anew."""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contracts.bot_file import BotFile, bot_path
from contracts.model_version import BotModels
from contracts.refusal import Refusal, end_process
from contracts.settings import Volumes, from_environment
from training_jobs.config import EpochsOption, MaxStepsOption
from training_jobs.pipeline import commands
from training_jobs.sample_bots.kept import (
    FOLDER,
    Inputs,
    keep,
    publish_kept,
    read_inputs,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

BOTS = ("avtobus", "polkson")
BOTS_DIR = Path("k8s/bots")


@app.command()
def publish() -> None:
    """Publish the kept bots; says when they were made from other inputs than those here."""
    try:
        volumes = from_environment(Volumes)
    except Refusal as refusal:
        end_process(refusal)
    for bot in BOTS:
        models = BotModels(volumes.models(bot))
        try:
            _publish(bot, models, volumes)
        except (Refusal, OSError) as error:  # the other bots can be talked with
            print(f"{bot}: {error}; with {models.folder} removed the kept one serves", flush=True)


def _publish(bot: str, models: BotModels, volumes: Volumes) -> None:
    began = time.monotonic()
    version, is_kept = publish_kept(bot, FOLDER / bot, models)
    took = time.monotonic() - began
    if not is_kept:
        print(f"{bot}: version {version} serves, trained here; remove {models.folder} for the kept")
        return
    print(f"{bot}: version {version} serves, as kept in the project ({took:.1f} s)")
    try:
        file, export = BotFile.read(bot_path(BOTS_DIR, bot)), volumes.exports(bot) / "result.json"
        other = read_inputs(FOLDER / bot).differing(Inputs.found(file, export))
    except Refusal as refusal:
        print(f"{bot}: whether it was made from what is here now is not known: {refusal}")
        return
    if other:
        print(
            f"{bot}: was made from other inputs than those here now ({', '.join(other)});"
            " `make models TRAIN=1` trains it anew, `make sample-bots` renews what is kept"
        )


@app.command()
def make(
    epochs: EpochsOption,
    max_steps: MaxStepsOption,
    output: Annotated[Path, typer.Option(help="Where they are kept.")] = FOLDER,
) -> None:
    """Train both from the sample chats and the demo base, and keep of them what serves."""
    try:
        with TemporaryDirectory() as folder:
            volumes = Volumes(data_dir=Path(folder, "data"), models_dir=Path(folder, "models"))
            _run(["extraction_jobs.sample_chats"], volumes)
            for bot in BOTS:
                file, export = bot_path(BOTS_DIR, bot), volumes.exports(bot) / "result.json"
                *jobs, _publish = commands(
                    file, export, base="demo", epochs=epochs, max_steps=max_steps
                )
                for job in jobs:
                    _run(job, volumes)
                keep(volumes.run(bot), Inputs.found(BotFile.read(file), export), output / bot)
    except Refusal as refusal:
        end_process(refusal)
    except OSError as error:
        end_process(Refusal(f"{output}: cannot be written ({error.strerror})"))


def _run(command: list[str], volumes: Volumes) -> None:
    environment = {name.upper(): str(value) for name, value in volumes}
    done = subprocess.run(
        [sys.executable, "-m", *command], env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise Refusal(f"{command[0]} failed (exit code {done.returncode})")


if __name__ == "__main__":
    app()
