"""All jobs in a row, each a process of its own: an export in, a served version out."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.refusal import Refusal, end_process
from telemetry.job import BotOption, InputOption, PersonaOption
from training_jobs.config import BaseOption, EpochsOption, MaxStepsOption, MethodOption
from training_jobs.installed import require_training_packages

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def commands(
    bot: Path,
    source: Path | None = None,
    persona: str | None = None,
    evaluate: bool = True,
    **training: str | float | None,
) -> list[list[str]]:
    """The jobs' command lines in order; `training` holds finetune's options."""
    extract = ["extraction_jobs.build_dataset", "--bot", str(bot)]
    if source is not None:
        extract += ["--input", str(source)]
    if persona is not None:
        extract += ["--persona", persona]
    train = ["training_jobs.finetune", "--bot", str(bot)]
    for name, value in training.items():
        if value is not None:
            train += [f"--{name.replace('_', '-')}", str(value)]
    rest = ["convert", "evaluate", "publish"] if evaluate else ["convert", "publish"]
    return [extract, train, *([f"training_jobs.{job}", "--bot", str(bot)] for job in rest)]


def _run(command: list[str]) -> int:
    """The job's exit code; a signal to end reaches the job, and is waited for."""
    with subprocess.Popen(command) as job:
        for number in (signal.SIGTERM, signal.SIGINT):  # also where they came in as ignored
            signal.signal(number, lambda *_: job.terminate())
        return job.wait()


@app.command()
def main(
    bot: BotOption,
    input: InputOption = None,
    persona: PersonaOption = None,
    base: BaseOption = None,
    epochs: EpochsOption = None,
    max_steps: MaxStepsOption = None,
    method: MethodOption = None,
    evaluate: Annotated[
        bool, typer.Option(help="Measure how well it imitates; the gate wants to know.")
    ] = True,
) -> None:
    """All jobs in a row; stops at the first that fails, with its exit code."""
    require_training_packages()
    try:
        name = BotFile.read(bot).name
    except Refusal as refusal:
        end_process(refusal)
    training = {"base": base, "epochs": epochs, "max_steps": max_steps, "method": method}
    for command in commands(bot, input, persona, evaluate, **training):
        started = time.monotonic()
        code = _run([sys.executable, "-m", *command])
        if code:
            typer.echo(f"error: {command[0]} failed for {name} (exit code {code})", err=True)
            raise typer.Exit(code if code > 0 else 1)
        typer.echo(f"{name}: {command[0]} took {time.monotonic() - started:.0f} s", err=True)


if __name__ == "__main__":
    app()
