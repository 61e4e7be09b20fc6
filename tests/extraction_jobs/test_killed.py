"""A job that is told to end, or killed, leaves the data set as it was, and the next is whole."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.dataset import CARD, TRAIN, read_card
from tests.conftest import PATIENCE
from tests.extraction_jobs.conftest import MIXED, Command, Save

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_job_leaves_the_data_set_whole(
    command: Command, bot_file: Path, save: Save, output: Path, number: int
) -> None:
    assert command(MIXED).exit_code == 0
    before = {name: (output / name).read_bytes() for name in (TRAIN, CARD)}
    export = shutil.copy(save(MIXED), output.with_name("copy.json"))
    slow = output.with_name("slow.json")
    os.mkfifo(slow)  # the second input, of which nothing comes while the first is stored
    options = [f"--bot={bot_file}", f"--output={output}", f"--input={export}", f"--input={slow}"]
    job = [sys.executable, "-m", "extraction_jobs.build_dataset", *options]
    with (
        subprocess.Popen(job, cwd=ROOT, stderr=subprocess.DEVNULL) as process,
        slow.open("wb"),  # opens once the job reads
    ):
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number
    assert {name: (output / name).read_bytes() for name in before} == before
    assert (output / ".part").exists()
    assert command(MIXED, persona="Boris").exit_code == 0
    assert read_card(output).persona_messages == 3
    assert not (output / ".part").exists()
