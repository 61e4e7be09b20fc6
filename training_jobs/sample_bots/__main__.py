"""`python -m training_jobs.sample_bots`: publish the kept sample bots, or make them anew."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contracts.bot_file import BotFile, bot_path
from contracts.model_version import BotModels
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from telemetry.job import command, job_app
from training_jobs.config import EpochsOption, StepsOption
from training_jobs.pipeline import command_lines, run_job
from training_jobs.sample_bots.kept import FOLDER, Inputs, keep, publish_kept, read_inputs

app = job_app()

BOTS = ("avtobus", "polkson")
BOTS_DIR = Path("k8s/bots")


@app.command()
def publish() -> None:
    """Publish the kept bots; says when they were made from other inputs than those here."""
    with command("sample_bots"):
        volumes = from_environment(Volumes)
    for bot in BOTS:
        models = BotModels(volumes.models(bot))
        try:
            _publish(bot, models, volumes)
        except (Refusal, OSError) as error:  # the other bots can be talked with
            print(f"{bot}: {error}; with {models.folder} removed the kept one serves", flush=True)


def _publish(bot: str, models: BotModels, volumes: Volumes) -> None:
    began = time.monotonic()
    version, is_kept = publish_kept(bot, FOLDER / bot, models)
    seconds = time.monotonic() - began
    if not is_kept:
        print(f"{bot}: version {version} serves, trained here; remove {models.folder} for the kept")
        return
    print(f"{bot}: version {version} serves, as kept in the project ({seconds:.1f} s)")
    try:
        file, export = BotFile.read(bot_path(BOTS_DIR, bot)), volumes.exports(bot) / "result.json"
        other = read_inputs(FOLDER / bot).differing(Inputs.of(file, export))
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
    max_steps: StepsOption,
    output: Annotated[Path, typer.Option(help="Where they are kept.")] = FOLDER,
) -> None:
    """Train both from the sample chats and the demo base, and keep of them what serves."""
    training = {"base": "demo", "epochs": epochs, "max_steps": max_steps}
    with command("sample_bots"), TemporaryDirectory() as folder:
        volumes = Volumes(data_dir=Path(folder, "data"), models_dir=Path(folder, "models"))
        _run(["extraction_jobs.sample_chats"], volumes)
        for bot in BOTS:
            file, export = bot_path(BOTS_DIR, bot), volumes.exports(bot) / "result.json"
            *jobs, _publish = command_lines(file, {"input": export}, training)
            for line in jobs:
                _run(line, volumes)
            keep(volumes.run(bot), Inputs.of(BotFile.read(file), export), output / bot)


def _run(line: list[str], volumes: Volumes) -> None:
    if code := run_job(line, {name.upper(): str(value) for name, value in volumes}):
        raise Refusal(f"{line[0]} failed (exit code {code})")


if __name__ == "__main__":
    app()
