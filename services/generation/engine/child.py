"""The engine's process: `python -m services.generation.engine.child FD` serves one connection.

It ends when the connection does, so it never outlives the process that started it.
"""

import pickle
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from services.generation.engine.pipeline import Pipeline
from services.generation.engine.protocol import (
    Cancel,
    Command,
    Event,
    Load,
    Loaded,
    Options,
    Ready,
    Report,
    Stepped,
    Submit,
    Unload,
)


class Child:
    """Pipelines by model, and the loop that feeds and steps them."""

    def __init__(self, connection: Connection, options: Options) -> None:
        self._connection = connection
        self._options = options
        self._pipelines: dict[str, Pipeline] = {}
        self._batches: dict[str, list[int]] = {}
        self._sending = threading.Lock()

    def run(self) -> None:
        """Take commands and step until the other side closes the connection."""
        self._send(Ready())
        while True:
            busy = [model for model, pipeline in list(self._pipelines.items()) if pipeline.busy]
            while self._connection.poll(0 if busy else None):
                self._obey(self._connection.recv())
                busy = [model for model, pipeline in list(self._pipelines.items()) if pipeline.busy]
            for model in busy:
                self._step(model)

    def _send(self, report: Report) -> None:
        with self._sending:
            self._connection.send(report)

    def _step(self, model: str) -> None:
        """One step; a pipeline that fails ends its jobs and is made anew."""
        pipeline, batches = self._pipelines[model], self._batches.setdefault(model, [])
        try:
            events, batch = pipeline.step()
            batches.append(batch)
        except Exception as error:  # whatever the library raises, the other models go on
            events, path = pipeline.failed(_one_line(error)), pipeline.path
            del pipeline, self._pipelines[model]  # before there are two in memory
            pipeline = self._pipelines[model] = Pipeline(path, self._options)
        if events:
            self._send(Stepped(model, events, batches, pipeline.cache_usage))
            del self._batches[model]

    def _obey(self, command: Command) -> None:
        match command:
            case Load(model, path):  # in a thread: the other models go on
                threading.Thread(target=self._load, args=(model, path), daemon=True).start()
            case Unload(model):
                self._pipelines.pop(model, None)
                self._batches.pop(model, None)
            case Submit(job):
                self._submit(command)
            case Cancel(job):
                for pipeline in list(self._pipelines.values()):
                    pipeline.cancel(job)

    def _load(self, model: str, path: str) -> None:
        """Thread: make the pipeline and say how that went."""
        problem = None
        try:
            self._pipelines[model] = Pipeline(path, self._options)
        except Exception as error:  # the library raises RuntimeError and others for a bad model
            problem = _one_line(error)
        with suppress(OSError):  # the other side is gone, and so will be this process
            self._send(Loaded(model, problem))

    def _submit(self, command: Submit) -> None:
        job = command.job
        try:
            self._pipelines[job.model].submit(job)
        except Exception as error:  # a refused configuration; the job ends, the engine does not
            now = time.monotonic()
            failed = Event(job.id, now, now, error=_one_line(error))
            self._send(Stepped(job.model, [failed], [], 0.0))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def main() -> None:
    # the parent decides when to end: it drains first and then closes the connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    try:
        Child(connection, connection.recv()).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except pickle.UnpicklingError as error:
        sys.exit(f"engine: not a command ({error})")


if __name__ == "__main__":
    main()
