"""Real servers on free ports, with the toy model behind them."""

import asyncio
import os
import shutil
import signal
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import GenerationClient, RetryLater, turn
from services.generation.server import Ports, serve
from services.generation.settings import GenerationSettings
from tests.conftest import BOT, PATIENCE, Toy

LONG = pb.Sampling(temperature=2.0, top_p=1.0, top_k=0, repetition=2.0)
"""Makes the toy model babble up to the limit."""


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
    def standing_still(self) -> Iterator[None]:
        """The engine computes nothing inside the block."""
        os.kill(self.engine, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.engine, signal.SIGCONT)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"persona_generation_{name}", labels) or 0.0


@asynccontextmanager
async def running(bots_dir: Path, models_dir: Path, **settings: object) -> AsyncIterator[Service]:
    """Serve on free ports inside the block."""
    values = {"grpc_port": 0, "metrics_port": 0, "poll_seconds": 0.05, **settings}
    chosen = GenerationSettings.model_validate(
        {"bots_dir": bots_dir, "models_dir": models_dir, **values}
    )
    registry, stop, others = CollectorRegistry(), asyncio.Event(), engine_pids()
    started: asyncio.Future[Ports] = asyncio.get_running_loop().create_future()
    ended = asyncio.create_task(serve(chosen, stop, started, registry))
    waiting: list[asyncio.Future[Any]] = [started, ended]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        await ended
    [engine] = engine_pids() - others
    address = f"127.0.0.1:{started.result().grpc}"
    async with GenerationClient(address, retry=False) as client:
        yield Service(engine, started.result(), client, registry, stop, ended)
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


@pytest.fixture
def own_models(toy: Toy, tmp_path: Path) -> Path:
    """A copy of the models volume that a test may change."""
    shutil.copytree(toy.models_dir, tmp_path / "models", symlinks=True)
    return tmp_path / "models"


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> None:
    """Wait until something holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 (another process is what is waited for)
            await asyncio.sleep(0.02)


async def arrived(service: Service, requests: int) -> bool:
    return service.metric("running") + service.metric("queue_size") == requests


async def answers(service: Service) -> bool:
    try:
        await service.client.generate(BOT, [turn("Привет")])
    except RetryLater:
        return False
    return True


def engine_pids() -> set[int]:
    """Engine processes that this process has started."""
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            ours = f"PPid:\t{os.getpid()}\n" in (command.parent / "status").read_text()
            if ours and b"services.generation.engine.child" in command.read_bytes():
                found.add(int(command.parent.name))
    return found
