"""What is shown of a training run while it lasts."""

import json
from pathlib import Path

import pytest

from contracts.clock import Clock
from telemetry.job import JobReport
from tests.telemetry.pushgateway import pushgateway
from training_jobs.progress import (
    FILE,
    FILE_POINTS,
    FILE_SECONDS,
    LOG_SECONDS,
    ProgressLog,
    TrainingProgress,
)


class StoppedClock(Clock):
    time = 0.0

    def now(self) -> float:
        return self.time


def test_a_run_under_way_is_pushed_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    clock = StoppedClock()
    progress = TrainingProgress(losses=[4.0], tokens=512, seconds=2.0)
    with pushgateway() as gateway:
        report = JobReport("training", "avtobus", gateway.url)
        log = ProgressLog(report, tmp_path, steps=8, steps_per_epoch=4, clock=clock)
        log.note(progress)
        assert gateway.pushed == []
        clock.time = LOG_SECONDS
        progress.losses.append(2.0)
        progress.heldout.append((2, 3.5))
        log.note(progress)
        log.note(progress)
    [(_, _, pushed)] = gateway.pushed
    assert pushed.pop("persona_training_peak_memory_bytes") > 1e6
    assert pushed == {
        "persona_training_loss": 3.0,
        "persona_training_tokens_per_second": 256.0,
        "persona_training_epoch": 0.5,
        "persona_training_heldout_loss": 3.5,
    }


def test_the_best_step_stays_unless_a_later_one_gains_enough() -> None:
    heldout = [(1, 3.0), (2, 2.9995), (3, 2.5), (4, 2.6)]
    assert TrainingProgress(heldout=heldout[:2]).best_step == 1
    assert TrainingProgress(heldout=heldout).best_step == 3


def test_who_watches_reads_a_file_that_is_written_every_two_seconds(tmp_path: Path) -> None:
    clock = StoppedClock()
    log = ProgressLog(JobReport("training", ""), tmp_path, 2000, 100, clock)
    progress = TrainingProgress(losses=[3.0], tokens=512, seconds=2.0)
    log.note(progress)
    progress.losses += [2.0] * 999
    progress.samples.append((1000, [("Привет!", "Здравствуйте.")]))
    log.note(progress)
    assert json.loads((tmp_path / FILE).read_text())["step"] == 1
    clock.time = FILE_SECONDS
    log.note(progress)
    told = json.loads((tmp_path / FILE).read_text())
    assert (told["step"], told["steps"], told["seconds_left"]) == (1000, 2000, 2.0)
    assert told["samples"] == [[1000, [["Привет!", "Здравствуйте."]]]]
    assert len(told["losses"]) == FILE_POINTS
    assert told["losses"][0] == [5, 2.2]
    assert told["losses"][-1] == [1000, 2.0]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_that_cannot_be_written_stops_no_training(tmp_path: Path) -> None:
    log = ProgressLog(JobReport("training", ""), tmp_path / "gone", 8, 4)
    log.note(TrainingProgress(losses=[4.0]))
