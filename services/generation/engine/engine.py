"""The engine as the gRPC process sees it: starts the child, feeds it, restarts it when it dies.

EngineDown     the child is not there (it died, or is starting): ask again soon
LoadFailed     the child could not load a version
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from services.generation.engine.protocol import (
    Cancel,
    Command,
    Event,
    Job,
    Load,
    Loaded,
    Options,
    Ready,
    Report,
    Stepped,
    Submit,
    Unload,
)
from telemetry.logs import logger

ROOT = Path(__file__).parents[3]
START_SECONDS = 60.0
"""Time in which the child has to say that it runs."""
END_SECONDS = 5.0
"""Time in which the child has to end when it is closed."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a restart; doubled while the child dies without having answered anything."""


class EngineDown(Exception):
    """No child to work; `retry_after` is in seconds."""

    retry_after = 1.0


class LoadFailed(Exception):
    """The child said why it cannot load the version."""


class Engine:
    """One child process and the jobs under way in it. All methods belong to one event loop."""

    def __init__(
        self, options: Options, on_step: Callable[[Stepped], None], on_restart: Callable[[], None]
    ) -> None:
        self._options = options
        self._on_step = on_step
        self._on_restart = on_restart
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._paths: dict[str, str] = {}
        self._here: set[str] = set()  # those of them that this child has loaded
        self._loading: dict[str, asyncio.Future[Loaded]] = {}
        self._jobs: dict[int, asyncio.Queue[Event | None]] = {}
        self._writer = ThreadPoolExecutor(1, "engine-writer")
        self._pause = FIRST_PAUSE
        self._ready = False
        self._hello: asyncio.Future[None] | None = None
        self._closed = False
        self._restarting: asyncio.Task[None] | None = None

    def apart(self) -> "Engine":
        """Another engine of the same kind, to try in it what may kill a child."""
        return Engine(self._options, lambda _: None, lambda: None)

    @property
    def alive(self) -> bool:
        """The child runs and has loaded all versions it had before, but those it cannot."""
        return self._ready

    @property
    def loaded(self) -> frozenset[str]:
        """Models that can be submitted to, or will be once the child has loaded them again."""
        return frozenset(self._paths)

    def has(self, model: str) -> bool:
        """The model can be submitted to now."""
        return model in self._here

    async def start(self) -> None:
        """Start the child and load what it had, one by one, so that the first soon answers.

        A model that does not load again, or over which the child dies, is dropped.

        Raises EngineDown when the child dies over it; another start is under way then.
        """
        self._hello = asyncio.get_running_loop().create_future()
        self._spawn()
        started, process = self._connection, self._process
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._hello
        except TimeoutError:
            if process:
                process.kill()  # which is noticed like any other death
            raise EngineDown from None
        for known in list(self._paths.items()):
            await self._load_again(*known)
        if self._connection is not started:
            raise EngineDown  # it died meanwhile
        self._ready = True

    async def _load_again(self, model: str, path: str) -> None:
        try:
            await self._load(model, path)
        except LoadFailed as error:
            self._paths.pop(model, None)
            logger().error("a version did not load again", model=model, reason=str(error))
        else:
            if model not in self._paths:  # retired meanwhile
                self.unload(model)

    def _spawn(self) -> None:
        ours, theirs = Pipe(duplex=True)
        known = os.environ.get("PYTHONPATH")
        path = f"{ROOT}{os.pathsep}{known}" if known else str(ROOT)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "services.generation.engine.child", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path},
        )
        theirs.close()
        self._connection = ours
        ours.send(self._options)
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=self._read, args=(ours, loop), name="engine-reader", daemon=True
        ).start()

    def _read(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Thread: hand the child's reports to the event loop until the connection ends."""
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            try:
                while True:
                    loop.call_soon_threadsafe(self._receive, connection.recv())
            except (EOFError, OSError):
                loop.call_soon_threadsafe(self._lost, connection)

    def _receive(self, report: Report) -> None:
        match report:
            case Ready():
                if self._hello and not self._hello.done():
                    self._hello.set_result(None)
            case Loaded(model, error):
                if error is None:
                    self._here.add(model)
                waiting = self._loading.pop(model, None)
                if waiting and not waiting.done():
                    waiting.set_result(report)
            case Stepped():
                self._pause = FIRST_PAUSE
                self._on_step(report)
                for event in report.events:
                    if queue := self._jobs.get(event.id):
                        queue.put_nowait(event)

    def _lost(self, connection: Connection) -> None:
        if connection is not self._connection or self._closed:
            return
        self._ready = False
        self._here.clear()
        self._connection = None
        for queue in self._jobs.values():
            queue.put_nowait(None)
        for model in self._loading:  # not again: each start would die of it
            self._paths.pop(model, None)
        for waiting in (*self._loading.values(), self._hello):
            if waiting and not waiting.done():
                waiting.set_exception(EngineDown())
        self._loading.clear()
        self._restarting = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        """Start again after a pause; when that fails as well, the next pause is longer."""
        process, pause = self._process, self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE)
        code = await asyncio.to_thread(process.wait) if process else None
        logger().error("engine died, starting it again", exit_code=code, pause_seconds=pause)
        self._on_restart()
        while True:
            await asyncio.sleep(pause)
            try:
                await self.start()
            except EngineDown:
                return  # it died again while loading, and another restart is under way
            except OSError as error:
                logger().error("engine cannot be started", error=str(error))
                pause = LONGEST_PAUSE
            else:
                logger().info("engine is back", versions=sorted(self._paths))
                return

    def _send(self, command: Command) -> None:
        """Queue a command; a connection that broke is noticed by the reader."""
        if self._closed:
            return
        connection = self._connection

        def write() -> None:
            if connection is not None:
                with suppress(OSError):
                    connection.send(command)

        self._writer.submit(write)

    async def _load(self, model: str, path: str) -> None:
        if self._connection is None:
            raise EngineDown
        waiting = self._loading[model] = asyncio.get_running_loop().create_future()
        self._send(Load(model, path))
        loaded = await waiting
        if loaded.error is not None:
            raise LoadFailed(loaded.error)

    async def load(self, model: str, path: Path) -> None:
        """Load a version; raises LoadFailed, or EngineDown when the child died over it."""
        if not self._ready:
            raise EngineDown
        await self._load(model, str(path))
        self._paths[model] = str(path)

    def unload(self, model: str) -> None:
        self._paths.pop(model, None)
        self._here.discard(model)
        self._send(Unload(model))

    async def submit(self, job: Job) -> AsyncGenerator[Event, None]:
        """Yield the job's events up to the last; leaving the iterator early cancels the job."""
        if not self.has(job.model):
            raise EngineDown
        queue = self._jobs[job.id] = asyncio.Queue()
        ended = False
        try:
            self._send(Submit(job))
            while not ended:
                event = await queue.get()
                if event is None:
                    ended = True
                    raise EngineDown
                ended = event.last
                yield event
        finally:
            del self._jobs[job.id]
            if not ended:
                self._send(Cancel(job.id))

    async def close(self) -> None:
        """End the child by closing its connection."""
        self._closed = True
        self._ready = False
        self._here.clear()
        if self._restarting:
            self._restarting.cancel()
        connection, self._connection = self._connection, None
        if connection:
            # ends the child, and wakes our threads, which may be in the midst of a message: the
            # connection closes itself once neither holds it
            with socket.socket(fileno=os.dup(connection.fileno())) as end, suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._writer.shutdown(wait=False, cancel_futures=True)
        if self._process:
            try:
                await asyncio.to_thread(self._process.wait, END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)
