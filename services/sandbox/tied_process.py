"""Processes that are never left behind: whatever they start ends with the demo, also by kill -9.

They get the time that others leave. Of each a shell leads a session of its own: it ends the session
when the pipe that it reads is closed, and is there until what it started has ended.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import IO

from telemetry.logs import logger

END_SECONDS = 60.0
"""A training that is told to end takes its step to the end, and writes a checkpoint."""
_LEADER = """
exec 3<&0
(read -r _ <&3; kill -- -$$) &
trap : TERM
"$@" 3<&- < /dev/null
code=$?
kill $!
exit $code
"""


@asynccontextmanager
async def tied_process(
    *command: str, environment: Mapping[str, str], stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> AsyncIterator[Process]:
    """Yield a process that ends with the block."""
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", "19", "sh", "-c", _LEADER, "sh", *command),
            stdin=reading,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            start_new_session=True,
        )
        os.close(reading)
        try:
            yield process
        finally:
            await asyncio.shield(_end(process))
    finally:
        os.close(writing)


async def _end(process: Process) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            logger().warning("a job was killed: it did not end in time")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
