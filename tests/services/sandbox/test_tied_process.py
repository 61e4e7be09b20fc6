"""What a process has started ends with it, whatever it is killed by."""

import os
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL
from pathlib import Path

import pytest

from services.sandbox.tied_process import tied_process

ROOT = Path(__file__).parents[3]
STARTS = """
import asyncio, os, sys
from services.sandbox.tied_process import tied_process
async def main():
    # a process that starts another, as make does
    command = ("sh", "-c", "sleep 1000; true")
    async with tied_process(*command, environment=os.environ, stdout=sys.stdout, stderr=None):
        print("started", flush=True)
        await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STARTS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"started\n"
        starter.send_signal(number)
        assert starter.stdout.read() == b""  # ends when nobody has it open any more


async def test_its_exit_code_is_that_of_what_it_started() -> None:
    async with tied_process(
        "sh", "-c", "exit 75", environment=os.environ, stdout=DEVNULL, stderr=DEVNULL
    ) as process:
        assert await process.wait() == 75
