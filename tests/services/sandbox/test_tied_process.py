"""What a process has started ends with it, whatever it is killed by."""

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from services.sandbox.tied_process import end_tied, run_tied, start_tied, tied_process

ROOT = Path(__file__).parents[3]
TREE = ("sh", "-c", "echo started; sleep 1000; true")
"""A process that starts another, as make does, and dies without it."""
STUBBORN = ("sh", "-c", "trap '' TERM; echo started; while :; do sleep 1; done")
STARTS = """
import asyncio, os, sys
from services.sandbox import tied_process
tied_process.END_SECONDS = 1
async def main():
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    await tied_process.start_tied(*sys.argv[1:], environment=os.environ, **streams)
    await asyncio.sleep(1000)
asyncio.run(main())
"""


@pytest.mark.parametrize("started", [TREE, STUBBORN])
def test_nothing_outlives_a_process_that_is_killed(started: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", STARTS, *started]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"started\n"
        starter.send_signal(signal.SIGKILL)
        assert starter.stdout.read() == b""  # ends when nobody has it open any more


async def test_nothing_outlives_the_end_that_it_is_told() -> None:
    process = await start_tied(*TREE, environment=os.environ, stdout=PIPE, stderr=PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"started\n"
    await end_tied(process)
    assert await process.stdout.read() == b""


async def test_what_does_not_end_is_killed() -> None:
    process = await start_tied(*STUBBORN, environment=os.environ, stdout=PIPE, stderr=PIPE)
    assert process.stdout
    assert await process.stdout.readline() == b"started\n"
    await end_tied(process, seconds=0.01)
    assert process.returncode == -signal.SIGKILL


async def test_its_exit_code_and_words_are_those_of_what_it_started() -> None:
    told = await run_tied("sh", "-c", "echo a; echo b >&2; exit 75", environment=os.environ)
    assert told == (75, ["a", "b"])


@pytest.mark.parametrize("steps", range(12))
async def test_nothing_is_left_of_a_start_that_is_broken_off(steps: int) -> None:
    reading, writing = os.pipe()

    async def hold() -> None:
        async with tied_process(*TREE, environment=os.environ, stderr=writing):
            await asyncio.sleep(1000)

    holding = asyncio.create_task(hold())
    for _ in range(steps):
        await asyncio.sleep(0)
    holding.cancel()
    await asyncio.wait([holding])
    os.close(writing)
    assert os.read(reading, 1) == b""  # ends when nobody has it open any more
    os.close(reading)
