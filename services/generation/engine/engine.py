"""The engine as the gRPC process sees it: starts the child, feeds it, restarts it when it dies.

A child that hangs is killed: it does not answer in time, or no longer reports.

EngineDown   there is no child, or it died: come back soon (see errors.py)
LoadFailed   the child is well, and a version cannot be loaded or does not answer
"""

import asyncio
import itertools
import os
import pickle
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from contracts.clock import Clock
from contracts.retry import backoff, retry
from services.generation.engine import protocol
from services.generation.errors import EngineDown
from services.generation.model_store import Version
from telemetry.logs import logger

ROOT = Path(__file__).parents[3]
START_SECONDS = 60.0
"""Time in which a child has to say that it runs."""
LOAD_SECONDS = 120.0
"""Time in which a version has to be loaded, and then to answer the probe."""
SILENCE_SECONDS, SILENCE_FACTOR = 20.0, 10
"""A child hangs when it has been silent so long, and so many times as long as ever before.

Beside a training, or over long prompts, it is slow and not dead.
"""
END_SECONDS = 5.0
"""Time in which the child has to end when it is closed."""


class LoadFailed(Exception):
    """The text says why."""


class Engine:
    """One child process and the requests under way in it. All methods belong to one event loop.

    loaded  the versions that this child can answer with, by key; the only record of them
    is_up   set while a child runs and has again loaded what it should
    """

    def __init__(
        self,
        options: protocol.EngineOptions,
        clock: Clock,
        on_step: Callable[[protocol.Report], None] = lambda _: None,
        on_death: Callable[[], None] = lambda: None,
    ) -> None:
        self.loaded: dict[protocol.VersionKey, Version] = {}
        self.is_up = asyncio.Event()
        self._options = options
        self._clock = clock
        self._on_step = on_step
        self._on_death = on_death
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._queues: dict[int, asyncio.Queue[protocol.EngineEvent | None]] = {}
        self._ids = itertools.count(1)
        self._heard = asyncio.Event()
        self._has_answered = False

    @property
    def has_child(self) -> bool:
        """Whether a child runs that can be sent commands."""
        return self._writer is not None

    def copy(self) -> "Engine":
        """Return another engine, to try in it what may kill a child."""
        return type(self)(self._options, self._clock)

    async def run(self, restore: Callable[[], Awaitable[None]]) -> None:
        """Start a child, have `restore` load what it should, and begin again when it dies."""
        while True:
            await retry(lambda: self._live(restore), self._clock, _restart_pause)

    async def _live(self, restore: Callable[[], Awaitable[None]]) -> None:
        """Watch one child from start to death; raises EngineDown where it answered nothing."""
        try:
            await self.start()
            await restore()
            if self.has_child:
                self.is_up.set()
                logger().info("engine is up", versions=sorted(self.loaded))
        except EngineDown:
            pass  # it is dead, or will be in a moment
        except OSError as error:
            logger().error("engine cannot be started", reason=error.strerror)
            raise
        logger().error("engine died, starting it again", exit_code=await self._wait_for_end())
        self._on_death()
        if not self._has_answered:
            raise EngineDown

    async def start(self) -> None:
        """Start a child that has loaded nothing; raises EngineDown where it does not run."""
        ours, theirs = socket.socketpair()
        path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
        with ours, theirs:
            number, env = theirs.fileno(), {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
            command = (sys.executable, "-m", "services.generation.engine.child", str(number))
            self._process = await asyncio.create_subprocess_exec(
                *command, pass_fds=[number], env=env
            )
            reader, self._writer = await asyncio.open_unix_connection(sock=ours.dup())
        self._has_answered = False
        self._heard.clear()
        self._reading = asyncio.create_task(self._read(reader, self._writer))
        self._writer.write(protocol.encode(self._options))
        await self._ask(protocol.Ping(), START_SECONDS)

    async def _watch(self) -> None:
        """Kill the child when it has been silent for too long.

        Only time in which this process runs counts: if both stood still, the child may speak first.
        """
        silent = longest = 0.0
        await self._heard.wait()
        while silent < max(SILENCE_SECONDS, SILENCE_FACTOR * longest):
            self._heard.clear()
            await self._clock.sleep(protocol.BEAT_SECONDS)
            silent += protocol.BEAT_SECONDS
            if self._heard.is_set():
                longest, silent = max(longest, silent), 0.0
        logger().error("engine hangs", silent_seconds=silent)
        self._kill()

    def _kill(self) -> None:
        """End the child, even one that is stopped."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Receive the child's reports until it dies; whoever waits for an answer learns of that."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(protocol.SIZE_BYTES))
                report = pickle.loads(await reader.readexactly(size))  # noqa: S301 (both are ours)
                self._receive(report)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            watching.cancel()
            writer.transport.abort()
            self._writer = None
            self.is_up.clear()
            self.loaded.clear()
            for queue in self._queues.values():
                queue.put_nowait(None)

    def _receive(self, report: protocol.Report) -> None:
        self._heard.set()
        if report.batches:
            self._has_answered = True
            self._on_step(report)
        for event in report.events:
            if queue := self._queues.get(event.id):
                queue.put_nowait(event)

    def _send(self, command: protocol.Command) -> None:
        """Send a command, which is lost if there is no child or it dies before it reads it."""
        if self._writer:
            self._writer.write(protocol.encode(command))

    async def load(self, version: Version, probe: protocol.EngineRequest) -> None:
        """Load a version and have it answer the probe.

        Raises LoadFailed, or EngineDown where the child dies or hangs over it.
        """
        load = protocol.Load(version.key, str(version.path))
        if problem := await self._ask(load, LOAD_SECONDS):
            raise LoadFailed(problem)
        if problem := await self._ask(probe, LOAD_SECONDS):
            self.unload(version.key)
            raise LoadFailed(f"it does not answer: {problem}")
        self.loaded[version.key] = version

    async def _ask(self, question: protocol.Question, seconds: float) -> str | None:
        """Wait for the end of the answer; returns what went wrong, if anything.

        Raises EngineDown; a child that does not answer in time is killed.
        """
        problem = None
        try:
            async with asyncio.timeout(seconds):
                async for event in self._events(question):
                    problem = event.error
        except TimeoutError:
            logger().error("engine hangs", question=type(question).__name__, seconds=seconds)
            self._kill()
            raise EngineDown from None
        return problem

    def unload(self, key: protocol.VersionKey) -> None:
        self.loaded.pop(key, None)
        self._send(protocol.Unload(key))

    def submit(self, request: protocol.EngineRequest) -> protocol.Events:
        """Return the events up to the last; closing the generator early cancels the request."""
        if request.key not in self.loaded:
            raise EngineDown
        return self._events(request)

    async def _events(self, question: protocol.Question) -> protocol.Events:
        if not self.has_child:
            raise EngineDown
        question = replace(question, id=next(self._ids))
        queue = self._queues[question.id] = asyncio.Queue()
        ended = False
        try:
            self._send(question)
            while not ended:
                event = await queue.get()
                if event is None:
                    raise EngineDown
                ended = event.is_last
                yield event
        finally:
            del self._queues[question.id]
            if not ended:
                self._send(protocol.Cancel(question.id))

    async def close(self) -> None:
        """End the child by ending its connection."""
        if self._writer:
            self._writer.transport.abort()
        try:
            async with asyncio.timeout(END_SECONDS):  # wait_for may lose a cancellation
                await self._wait_for_end()
        except TimeoutError:
            self._kill()
            await self._wait_for_end()

    async def _wait_for_end(self) -> int | None:
        """Wait for the child's end and return its exit code."""
        if self._reading:
            await asyncio.wait([self._reading])
        return await self._process.wait() if self._process else None


def _restart_pause(error: Exception, attempt: int) -> float | None:
    """Return the pause before the next start while children die without having answered."""
    died = isinstance(error, EngineDown | OSError)
    return backoff(attempt, first=0.1, longest=5.0) if died else None
