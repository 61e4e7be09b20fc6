"""The engine's process: `python -m services.generation.engine.child FD` serves one connection.

It ends with the connection, and so never outlives the process that started it.
"""

import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from select import POLLIN, poll

from services.generation.engine import protocol
from services.generation.engine.openvino_pipeline import Pipeline


class Child:
    """The pipelines by their versions' keys, and the loop that feeds and steps them."""

    def __init__(self, connection: socket.socket, options: protocol.EngineOptions) -> None:
        self._connection = connection
        self._commands = poll()
        self._commands.register(connection, POLLIN)
        self._options = options
        self._pipelines: dict[protocol.VersionKey, Pipeline] = {}
        self._batches: dict[protocol.VersionKey, list[int]] = {}
        self._sending = threading.Lock()
        self._beat_at = 0.0

    def run(self) -> None:
        """Handle commands and step until the other side closes the connection."""
        while True:
            while self._commands.poll(0 if self._busy() else protocol.BEAT_SECONDS * 1000):
                self._handle(protocol.receive(self._connection))
            for key in self._busy():
                self._step(key)
            self._beat()

    def _beat(self) -> None:
        """Report that this loop goes on, which a thread of its own would do while a step hangs."""
        if (now := time.monotonic()) - self._beat_at >= protocol.BEAT_SECONDS:
            self._beat_at = now
            self._send(protocol.Report([]))

    def _busy(self) -> list[protocol.VersionKey]:
        # a copy: a thread may add a pipeline meanwhile
        return [key for key, pipeline in list(self._pipelines.items()) if pipeline.is_busy]

    def _handle(self, command: protocol.Command) -> None:
        match command:
            case protocol.Ping(ping_id):
                self._end(ping_id)
            case protocol.Load():  # in a thread: the other versions go on
                threading.Thread(target=self._load, args=(command,), daemon=True).start()
            case protocol.Unload(key):
                self._pipelines.pop(key, None)
                self._batches.pop(key, None)
            case protocol.EngineRequest():
                self._submit(command)
            case protocol.Cancel(request_id):
                for pipeline in list(self._pipelines.values()):
                    pipeline.cancel(request_id)

    def _load(self, load: protocol.Load) -> None:
        """Thread: build the pipeline and report how that went."""
        problem = None
        try:
            self._pipelines[load.key] = Pipeline(load.path, self._options)
        except Exception as error:  # the library raises RuntimeError and others for a bad model
            problem = _one_line(error)
        with suppress(OSError):  # the other side is gone, and so will be this process
            self._end(load.id, problem)

    def _submit(self, request: protocol.EngineRequest) -> None:
        try:
            self._pipelines[request.key].submit(request)
        except Exception as error:  # a bad option ends the request and not the engine
            self._end(request.id, _one_line(error))

    def _step(self, key: protocol.VersionKey) -> None:
        """Step once; a pipeline that fails ends its requests and is built anew."""
        pipeline, batches = self._pipelines[key], self._batches.setdefault(key, [])
        try:
            events, batch = pipeline.step()
            batches.append(batch)
        except Exception as error:  # whatever the library raises, the other versions go on
            events, path = pipeline.fail_all(_one_line(error)), pipeline.path
            del pipeline, self._pipelines[key]  # before there are two in memory
            pipeline = self._pipelines[key] = Pipeline(path, self._options)
        if events:
            self._send(protocol.Report(events, key, batches, pipeline.cache_usage))
            del self._batches[key]

    def _end(self, question: int, error: str | None = None) -> None:
        self._send(protocol.Report([protocol.EngineEvent(question, is_last=True, error=error)]))

    def _send(self, report: protocol.Report) -> None:
        with self._sending:
            self._connection.sendall(protocol.encode(report))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def main() -> None:
    # the parent decides when to end: it drains first and then closes the connection
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        Child(connection, protocol.receive(connection)).run()


if __name__ == "__main__":
    main()
