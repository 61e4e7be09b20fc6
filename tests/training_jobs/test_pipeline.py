"""The pipeline: the jobs' order, and that it stops at the first that fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from telemetry.job import INTERRUPTED
from tests.conftest import PATIENCE, Toy
from training_jobs.pipeline import JobRunner, app, command_lines

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Give the signals back to pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_options_reach_the_jobs_that_they_are_meant_for() -> None:
    extraction = {"input": [Path("r.json"), Path("b.zip")], "persona": ["user1", "user2"]}
    training = {"base": "demo", "epochs": None, "max_steps": 2}
    lines = [" ".join(line) for line in command_lines(Path("b.yaml"), extraction, training)]
    assert lines == [
        "extraction_jobs.build_dataset --bot b.yaml --input=r.json --input=b.zip --persona=user1"
        " --persona=user2",
        "training_jobs.finetune --bot b.yaml --base=demo --max-steps=2",
        "training_jobs.convert --bot b.yaml",
        "training_jobs.evaluate --bot b.yaml",
        "training_jobs.publish --bot b.yaml",
    ]
    unmeasured = command_lines(Path("b.yaml"), extraction, training, evaluate=False)
    assert [line[0] for line in unmeasured[2:]] == [
        "training_jobs.convert",
        "training_jobs.publish",
    ]


def test_what_may_be_given_several_times_reaches_the_extraction(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[list[str]] = []

    def run(_: JobRunner, line: list[str]) -> int:
        jobs.append(line)
        return 3

    monkeypatch.setattr(JobRunner, "run", run)
    options = ["--input=a", "--input=b", "--persona=user1", "--persona=2"]
    assert CliRunner().invoke(app, ["--bot", str(toy.bot_file), *options]).exit_code == 3
    assert jobs[0][3:] == options


def test_what_the_system_kills_has_lacked_memory(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {"training_jobs.finetune": -signal.SIGKILL}
    monkeypatch.setattr(JobRunner, "run", lambda _, line: codes.get(line[0], 0))
    result = CliRunner().invoke(app, ["--bot", str(toy.bot_file)])
    assert result.exit_code == 1
    assert "the memory was not enough, most likely; lower training.tokens_at_once" in result.stderr


def test_stops_at_the_first_job_that_fails_with_its_exit_code(toy: Toy, tmp_path: Path) -> None:
    arguments = ["--bot", str(toy.bot_file), "--input", str(tmp_path / "none.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "extraction_jobs.build_dataset failed for avtobus" in result.stderr


def test_a_signal_to_end_reaches_the_job(toy: Toy, tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    export = tmp_path / "export.json"
    os.mkfifo(export)  # nobody writes to it: the job waits
    command = [sys.executable, "-m", "training_jobs.pipeline", "--bot", str(toy.bot_file)]
    with subprocess.Popen(
        [*command, "--input", str(export)], cwd=ROOT, env=environment, stderr=subprocess.PIPE
    ) as pipeline:
        with export.open("w"):  # opens once the job reads
            pipeline.send_signal(signal.SIGTERM)
            pipeline.wait(PATIENCE)
        assert pipeline.stderr
        assert b"extraction_jobs.build_dataset failed" in pipeline.stderr.read()


def test_no_job_begins_after_a_signal_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, begun = JobRunner(), tmp_path / "begun"
    (tmp_path / "job.py").write_text(f"open({str(begun)!r}, 'w')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert jobs.run(["job"]) == 0
    begun.unlink()
    signal.raise_signal(signal.SIGTERM)
    assert jobs.run(["job"]) == INTERRUPTED
    assert not begun.exists()


def test_a_job_that_starts_when_the_signal_comes_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, command: list[str]) -> None:
            super().__init__(["sleep", "1000"])
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    assert JobRunner().run(["any"]) == INTERRUPTED


def test_a_bad_bot_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--bot", str(tmp_path), "--input", "r.json"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
