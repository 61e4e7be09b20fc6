"""All jobs in a row, each a process of its own: an export in, a served version out."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.refusal import end_process
from telemetry.job import (
    INTERRUPTED,
    BotOption,
    InputOption,
    PersonaOption,
    SkipOption,
    command,
    job_app,
)
from training_jobs.bot_config import BaseOption, EpochsOption, MethodOption, StepsOption
from training_jobs.model_libraries import require_training_packages

Options = Mapping[str, object]
OUT_OF_MEMORY = (
    "the memory was not enough, most likely; lower training.tokens_at_once, or take"
    " training.method: lora or a smaller base"
)


def command_lines(
    bot: Path, extraction: Options, training: Options, evaluate: bool = True, skip: bool = False
) -> list[list[str]]:
    """Return the command lines of the jobs in order, with those options that are not None.

    skip  a job does nothing where its inputs have not changed
    """
    given = {"extraction_jobs.build_dataset": extraction, "training_jobs.finetune": training}
    rest = ("convert", "evaluate", "publish") if evaluate else ("convert", "publish")
    skipping = ["--skip-unchanged"] if skip else []
    return [
        [job, "--bot", str(bot), *skipping, *_words(given.get(job, {}))]
        for job in (*given, *(f"training_jobs.{name}" for name in rest))
    ]


def _words(options: Options) -> list[str]:
    """Return an option as often as it has values."""
    given = {
        name: value if isinstance(value, list) else [] if value is None else [value]
        for name, value in options.items()
    }
    return [f"--{name.replace('_', '-')}={one}" for name, each in given.items() for one in each]


class JobRunner:
    """Runs jobs one after another.

    SIGTERM and SIGINT are passed on to the job that runs, and no other begins.
    """

    def __init__(self) -> None:
        self._job: subprocess.Popen[bytes] | None = None
        self._is_told_to_end = False
        for number in (signal.SIGTERM, signal.SIGINT):  # also where they came in as ignored
            signal.signal(number, self._end)

    def run(self, command_line: list[str]) -> int:
        """Return the job's exit code once it has ended."""
        if self._is_told_to_end:
            return INTERRUPTED
        with subprocess.Popen([sys.executable, "-m", *command_line]) as self._job:
            if self._is_told_to_end:  # while it started
                self._job.terminate()
            code = self._job.wait()
        return INTERRUPTED if self._is_told_to_end and code < 0 else code

    def _end(self, *_: object) -> None:
        self._is_told_to_end = True
        if self._job:
            self._job.terminate()


def main(
    bot: BotOption,
    input: InputOption = None,
    persona: PersonaOption = None,
    base: BaseOption = None,
    epochs: EpochsOption = None,
    max_steps: StepsOption = None,
    method: MethodOption = None,
    evaluate: Annotated[bool, typer.Option(help="Measure how it imitates, for the gate.")] = True,
    skip_unchanged: SkipOption = False,
) -> None:
    """Run all jobs in a row; stop at the first that fails, with its exit code."""
    require_training_packages()
    with command("pipeline"):
        name = BotFile.read(bot).name
    training = {"base": base, "epochs": epochs, "max_steps": max_steps, "method": method}
    extraction = {"input": input, "persona": persona}
    jobs = JobRunner()
    for line in command_lines(bot, extraction, training, evaluate, skip_unchanged):
        started = time.monotonic()
        code = jobs.run(line)
        if code == -signal.SIGKILL and line[0] == "training_jobs.finetune":
            end_process(f"{line[0]} was killed for {name}: {OUT_OF_MEMORY}", 1)
        if code:
            end_process(f"{line[0]} failed for {name} (exit code {code})", code if code > 0 else 1)
        typer.echo(f"{name}: {line[0]} took {time.monotonic() - started:.0f} s", err=True)


app = job_app(main)

if __name__ == "__main__":
    app()
