"""Real servers on free ports, with the toy model behind them."""

import asyncio
import os
import shutil
import signal
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from inspect import isawaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from contracts import model_version
from contracts.answer_words import ANSWER_WORDS, AnswerWords
from contracts.sampling import Sampling
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import BotUnavailable, GenerationClient, RetryLater, turn
from services.generation.engine import child, protocol
from services.generation.engine.protocol import (
    EngineEvent,
    EngineOptions,
    EngineRequest,
    VersionKey,
)
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from tests.conftest import BOT, PATIENCE, Toy

BABBLE = pb.Sampling(temperature=2.0, top_p=1.0, top_k=0, repetition=2.0)
"""Makes the toy model babble up to the limit."""
GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0, repetition=1.0)
NEW = "29990101-000000-new"
"""Id of the version that a test publishes."""
EXACT = EngineOptions(
    properties={
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
    }
)
"""With fp32 arithmetic and unquantised caches a reply is the same in any batch."""


class Ports(NamedTuple):
    grpc: int
    metrics: int


@dataclass(frozen=True)
class Service:
    """A running service and a client of it; `engine` is its child's process id."""

    engine: int
    ports: Ports
    client: GenerationClient
    registry: CollectorRegistry
    stop: asyncio.Event
    ended: "asyncio.Task[None]"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    @contextmanager
    def frozen_engine(self) -> Iterator[None]:
        """The engine computes nothing inside the block."""
        os.kill(self.engine, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.engine, signal.SIGCONT)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"persona_generation_{name}", labels) or 0.0

    def has_arrived(self, requests: int) -> bool:
        """Whether so many requests wait or run now."""
        return self.metric("running") + self.metric("queue_size") == requests

    def ask(self, **options: Any) -> "asyncio.Task[pb.GenerateResponse]":
        """Start a request for a long answer."""
        options = {"bot": BOT, "sampling": BABBLE, "candidates": 4, **options}
        return asyncio.create_task(self.client.generate(turns=[turn("Привет")], **options))

    async def answers(self) -> bool:
        try:
            await self.client.generate(BOT, [turn("Привет")])
        except RetryLater:
            return False
        return True

    async def assert_unavailable(self, code: grpc.StatusCode) -> None:
        with pytest.raises(BotUnavailable) as refused:
            await self.client.generate(BOT, [turn("Привет")])
        assert refused.value.code is code

    async def model(self) -> pb.Model:
        """What ListModels says of the toy bot."""
        [model] = [each for each in await self.client.list_models() if each.bot == BOT]
        return model

    async def serves(self, version: str) -> bool:
        return (await self.model()).version == version

    async def until_problem(self, text: str) -> None:
        async def has_problem() -> bool:
            return text in (await self.model()).problem

        await until(has_problem)

    async def is_unhealthy(self, name: str) -> bool:
        return not await self.is_healthy(name)

    async def is_healthy(self, name: str = "") -> bool:
        async with grpc.aio.insecure_channel(self.address) as channel:
            request = health_pb2.HealthCheckRequest(service=name)
            answer = await health_pb2_grpc.HealthStub(channel).Check(request)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@asynccontextmanager
async def running(bots_dir: Path, models_dir: Path, **settings: Any) -> AsyncIterator[Service]:
    """Serve on free ports inside the block."""
    settings = {"grpc_port": 0, "metrics_port": 0, "poll_seconds": 0.05, **settings}
    chosen = GenerationSettings(bots_dir=bots_dir, models_dir=models_dir, **settings)
    registry, stop, others = CollectorRegistry(), asyncio.Event(), engine_pids()
    started: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
    ended = asyncio.create_task(serve(chosen, stop, started, registry))
    waiting: list[asyncio.Future[Any]] = [started, ended]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        await ended
    [engine] = engine_pids() - others
    ports = Ports(*started.result())
    async with GenerationClient(f"127.0.0.1:{ports.grpc}", retry=False) as client:
        try:
            yield Service(engine, ports, client, registry, stop, ended)
        finally:
            stop.set()
            await ended


@pytest.fixture(scope="session")
async def service(toy: Toy) -> AsyncIterator[Service]:
    """One service for all tests that leave it as it was."""
    async with running(toy.bots_dir, toy.models_dir) as service:
        yield service


@pytest.fixture(scope="session")
def exact_model(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's weights in fp32 for OpenVINO."""
    folder = tmp_path_factory.mktemp("exact")
    with warnings.catch_warnings(action="ignore"):
        from optimum.intel import OVModelForCausalLM

        model = OVModelForCausalLM.from_pretrained(
            toy.run / "model", export=True, compile=False, load_in_8bit=False
        )
        model.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Volumes:
    """Bots and models that a test may change; the toy's version is published."""

    bots: Path
    models: Path
    version: str

    def serve(self) -> AbstractAsyncContextManager[Service]:
        return running(self.bots, self.models)

    def publish(
        self,
        bot: str = BOT,
        broken: str = "",
        rehash: bool = True,
        stop: int = 2,
        words: AnswerWords | None = None,
    ) -> None:
        """Publish the current version again as NEW, perhaps with something broken."""
        current = (self.models / BOT / "current").resolve()
        update = {"id": NEW, "bot": bot, "stop": model_version.Stop(token_ids=(stop,))}
        manifest = model_version.read_manifest(current).model_copy(update=update)
        models = model_version.BotModels(self.models / bot)
        with models.staging() as staged:
            for path in current.iterdir():
                (staged / path.name).write_bytes(path.read_bytes())
            if words:
                words.write(staged / ANSWER_WORDS)
            if broken:
                (staged / broken).write_bytes(b"broken")
            if rehash:
                manifest = manifest.model_copy(update={"files": model_version.hash_files(staged)})
            published = models.publish(staged, manifest)
        if broken == model_version.MANIFEST:
            (published / broken).write_bytes(b"broken")

    def roll_back(self) -> None:
        model_version.BotModels(self.models / BOT).roll_back()


@pytest.fixture
def volumes(toy: Toy, tmp_path: Path) -> Volumes:
    shutil.copytree(toy.bots_dir, tmp_path / "bots")
    shutil.copytree(toy.models_dir, tmp_path / "models", symlinks=True)
    return Volumes(tmp_path / "bots", tmp_path / "models", toy.manifest.id)


async def until(holds: Callable[[], Awaitable[bool] | bool], seconds: float = PATIENCE) -> None:
    """Wait until something holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            held = holds()
            if await held if isawaitable(held) else held:
                return
            await asyncio.sleep(0.02)


def hang(monkeypatch: pytest.MonkeyPatch, folder: Path, method: str, condition: str) -> None:
    """Let that method of pipelines hang in children that start from now on, on a condition.

    The condition is Python of `os` and of the method's arguments, `args`.
    """
    (folder / "sitecustomize.py").write_text(f"""
import os, time
try:
    from services.generation.engine.openvino_pipeline import Pipeline
except ImportError:
    pass  # it is another process
else:
    real = Pipeline.{method}
    def hanging(*args):
        while {condition}:
            time.sleep(3600)
        return real(*args)
    Pipeline.{method} = hanging
""")
    monkeypatch.setenv("PYTHONPATH", str(folder))


@contextmanager
def child_in_a_thread() -> Iterator[socket.socket]:
    """Yield a connection to an engine's child that runs in this process."""

    def run() -> None:
        with suppress(EOFError, OSError):
            child.Child(theirs, EngineOptions()).run()

    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with ours, theirs:
        working = threading.Thread(target=run)
        working.start()
        yield ours
        ours.shutdown(socket.SHUT_RDWR)
        working.join(PATIENCE)


def news(connection: socket.socket) -> list[EngineEvent]:
    """Wait for a report that is no heartbeat."""
    while not (events := protocol.receive(connection).events):
        pass
    return list(events)


def version(key: VersionKey, path: Path) -> Any:
    """What the engine needs of a version."""
    return SimpleNamespace(key=key, path=path)


def engine_request(ids: Sequence[int], **fields: Any) -> EngineRequest:
    """A greedy request of at most 24 tokens to the version ("toy", "1")."""
    request = EngineRequest(("toy", "1"), list(ids), GREEDY, 0, 24, frozenset({2}))
    return replace(request, **fields)


def engine_pids() -> set[int]:
    """Engine processes that this process has started."""
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            ours = f"PPid:\t{os.getpid()}\n" in (command.parent / "status").read_text()
            if ours and b"services.generation.engine.child" in command.read_bytes():
                found.add(int(command.parent.name))
    return found
