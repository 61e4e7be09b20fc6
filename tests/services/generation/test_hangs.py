"""An engine that hangs is noticed, killed and replaced; one that is only slow is left alone."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from contracts.clock import Clock
from services.generation import server
from services.generation.client import RetryLater
from services.generation.engine import child, protocol
from services.generation.engine import engine as engine_module
from services.generation.engine.engine import Engine
from services.generation.engine.openvino_pipeline import Pipeline
from services.generation.errors import EngineDown
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.generation.conftest import (
    EXACT,
    Service,
    child_in_a_thread,
    engine_request,
    hang,
    news,
    running,
    until,
    version,
)


class FastClock(Clock):
    """Makes the service's pauses shorter while `scale` is small."""

    scale = 1.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds * self.scale)


def _stop(service: Service, _: Path) -> None:
    os.kill(service.engine, signal.SIGSTOP)


def _hang_in_a_step(_: Service, flag: Path) -> None:
    flag.touch()


@pytest.mark.parametrize("how", [_stop, _hang_in_a_step])
async def test_an_engine_that_hangs_is_replaced(
    toy: Toy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: Callable[[Service, Path], None],
) -> None:
    flag = tmp_path / "hang"
    hang(monkeypatch, tmp_path, "step", f"os.path.exists({str(flag)!r})")
    monkeypatch.setattr(server, "Clock", FastClock)
    async with running(toy.bots_dir, toy.models_dir) as service:
        how(service, flag)
        ask = service.ask(timeout=PATIENCE)
        await until(lambda: service.has_arrived(1))
        monkeypatch.setattr(FastClock, "scale", 0.02)
        with pytest.raises(RetryLater) as refused:
            await ask
        assert refused.value.code is grpc.StatusCode.UNAVAILABLE
        for name in ("", BOT):
            await until(lambda name=name: service.is_unhealthy(name))  # type: ignore[misc]
        monkeypatch.setattr(FastClock, "scale", 1.0)
        flag.unlink(missing_ok=True)
        await until(service.answers)
        assert service.metric("engine_restarts_total") == 1


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([], 20),
        ([1, 2, 1], 20),
        ([5, 1], 50),  # a long prompt
        ([19], 190),  # beside a training
    ],
)
async def test_an_engine_may_be_silent_the_longer_the_slower_it_is(
    gaps: list[int], expected: int
) -> None:
    beats = [beat for gap in gaps for beat in (*[False] * (gap - 1), True)]

    class Silent(Clock):
        """Lets the engine hear something after each gap, and then never again."""

        slept = 0

        async def sleep(self, seconds: float) -> None:
            self.slept += 1
            if beats and beats.pop(0):
                self.slept = 0
                engine._heard.set()

    clock = Silent()
    engine = Engine(protocol.EngineOptions(), clock)
    engine._heard.set()
    await engine._watch()
    assert clock.slept == expected


def test_a_beat_comes_while_a_load_is_slow_and_not_while_a_step_is(
    exact_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()

    class Slow(Pipeline):
        def __init__(self, path: str, options: protocol.EngineOptions) -> None:
            if path.endswith("slow"):
                may_go_on.wait(PATIENCE)
            super().__init__(path.removesuffix("slow"), options)

        def step(self) -> tuple[list[protocol.EngineEvent], int]:
            may_go_on.wait(PATIENCE)
            return super().step()

    monkeypatch.setattr(child, "Pipeline", Slow)
    monkeypatch.setattr(protocol, "BEAT_SECONDS", 0.01)
    with child_in_a_thread() as connection:
        connection.sendall(protocol.encode(protocol.Load(("toy", "1"), str(exact_model), 1)))
        assert news(connection)
        assert [protocol.receive(connection) for _ in range(3)] == [protocol.Report([])] * 3
        connection.sendall(protocol.encode(protocol.Load(("toy", "2"), f"{exact_model}/slow", 2)))
        assert [protocol.receive(connection) for _ in range(3)] == [protocol.Report([])] * 3
        connection.sendall(protocol.encode(engine_request([5], id=3)))
        connection.settimeout(0.2)
        with suppress(TimeoutError):  # after the beats that were on their way
            for _ in range(10):
                protocol.receive(connection)
            pytest.fail("it beats while a step hangs")
        connection.settimeout(PATIENCE)
        may_go_on.set()
        assert news(connection)


async def test_an_engine_whose_load_hangs_is_killed(
    exact_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang(monkeypatch, tmp_path, "__init__", "True")
    engine = Engine(EXACT, Clock())
    await engine.start()
    monkeypatch.setattr(engine_module, "LOAD_SECONDS", 0.2)
    with pytest.raises(EngineDown):
        await engine.load(version(("toy", "1"), exact_model), engine_request([5]))
    assert await engine._wait_for_end() == -signal.SIGKILL


async def test_an_engine_that_hangs_as_it_starts_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(engine_module, "START_SECONDS", 0.1)
    engine = Engine(EXACT, Clock())
    with pytest.raises(EngineDown):
        await engine.start()
    assert await engine._wait_for_end() == -signal.SIGKILL
