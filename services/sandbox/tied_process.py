"""Processes that are never left behind: what they start ends with the demo, also by kill -9.

Each leads a session of its own, whose processes all get the SIGTERM. In it one more waits: it reads
a pipe that the demo alone holds open. When that is closed it sends SIGTERM to all, and kills what
is left once the first of them has ended, or after a time.
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import IO

GENTLY = ("nice", "-n", "19")
"""Before a command: it gets the time that others leave."""
END_SECONDS = 60
"""A training that is told to end takes its step to the end, and writes a checkpoint."""
_TIED = """
seconds=$1
shift
exec 3<&0
( (
  trap "" TERM
  read -r _ <&3
  kill -- -$$
  for _ in $(seq $seconds); do kill -0 $$ && sleep 1; done
  kill -s KILL -- -$$
) > /dev/null 2>&1 & )
exec "$@" 3<&- < /dev/null
"""
Output = int | IO[bytes]


@cache
def _pipe() -> tuple[int, int]:
    """Return the end that all of them read, and the one that closes with this process."""
    return os.pipe()


async def start_tied(
    *command: str, environment: Mapping[str, str], stdout: Output, stderr: Output
) -> Process:
    """Start a process, to be ended by `end_tied`. A terminal's Ctrl-C does not reach it."""
    return await asyncio.create_subprocess_exec(
        *("sh", "-c", _TIED, "sh", str(END_SECONDS), *command),
        env=environment,
        start_new_session=True,
        stdin=_pipe()[0],
        stdout=stdout,
        stderr=stderr,
    )


async def end_tied(*processes: Process, seconds: float = END_SECONDS) -> None:
    """End them, and kill what does not end in time, or is left of what they have started."""
    for process in processes:
        _send(process, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(process.wait() for process in processes))
    for process in processes:
        kill_all(process)
        await process.wait()


def kill_all(process: Process) -> None:
    """Kill a process, if it still runs, and all that it has started."""
    _send(process, signal.SIGKILL)


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@asynccontextmanager
async def tied_process(
    *command: str, environment: Mapping[str, str], stderr: Output
) -> AsyncIterator[Process]:
    """Yield a process that gets the time that others leave, and ends with the block.

    What it prints is to be read from it.
    """
    told = (*GENTLY, *command)
    starting = asyncio.ensure_future(
        start_tied(*told, environment=environment, stdout=PIPE, stderr=stderr)
    )
    try:
        process = await asyncio.shield(starting)
    except asyncio.CancelledError:  # of a start that is broken off, the command would be left
        await end_tied(await starting)
        raise
    try:
        yield process
    finally:
        await asyncio.shield(end_tied(process))


async def run_tied(*command: str, environment: Mapping[str, str]) -> tuple[int, list[str]]:
    """Return the exit code of what is short, and the lines that it says."""
    async with tied_process(*command, environment=environment, stderr=STDOUT) as process:
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode(errors="replace").splitlines()
