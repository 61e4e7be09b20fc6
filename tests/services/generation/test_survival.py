"""What the service survives: new, broken and vanished versions, a killed engine, a stop."""

import asyncio
import os
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import BotUnavailable, GenerationError, RetryLater, turn
from services.generation.engine import engine as engine_module
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.generation.conftest import (
    LONG,
    Service,
    answers,
    arrived,
    engine_pids,
    running,
    until,
)


async def test_is_ready_without_any_model_and_serves_one_once_published(
    toy: Toy, tmp_path: Path
) -> None:
    async with running(toy.bots_dir, tmp_path / "models") as service:
        with pytest.raises(BotUnavailable) as refused:
            await service.client.generate(BOT, [turn("Привет")])
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            overall = await stub.Check(health_pb2.HealthCheckRequest())
            assert overall.status == health_pb2.HealthCheckResponse.SERVING

        (tmp_path / "models").symlink_to(toy.models_dir)

        async def is_served() -> bool:
            return (await service.client.list_models())[0].version == toy.manifest.id

        await until(is_served)
        assert (await service.client.generate(BOT, [turn("Привет")])).candidates


async def test_an_engine_killed_in_the_middle_of_answers_serves_again(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir) as service:
        asks = [
            asyncio.create_task(
                service.client.generate(BOT, [turn("Привет")], sampling=LONG, candidates=4)
            )
            for _ in range(8)
        ]
        await until(lambda: _busy(service))
        with service.standing_still():  # or all of them might be answered by now
            asks.append(asyncio.create_task(service.client.generate(BOT, [turn("Привет")])))
            await until(lambda: _accepted(service, len(asks)))
            os.kill(service.engine, signal.SIGKILL)
        ended = await asyncio.gather(*asks, return_exceptions=True)
        refused = [each for each in ended if isinstance(each, RetryLater)]
        assert refused
        assert all(isinstance(each, RetryLater | pb.GenerateResponse) for each in ended)
        assert all(each.code is grpc.StatusCode.UNAVAILABLE for each in refused)
        assert all(each.retry_after > 0 for each in refused)

        await until(lambda: answers(service))
        assert service.metric("engine_restarts_total") == 1


async def _accepted(service: Service, requests: int) -> bool:
    """Whether so many are answered or under way."""
    answered = service.metric("requests_total", bot=BOT, code="OK")
    return await arrived(service, int(requests - answered))


async def _busy(service: Service) -> bool:
    return service.metric("running") > 0


async def test_a_stop_lets_requests_under_way_end(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir) as service:
        with service.standing_still():
            asks = [
                asyncio.create_task(
                    service.client.generate(BOT, [turn("Привет")], sampling=LONG, candidates=4)
                )
                for _ in range(16)  # half of them wait in the line
            ]
            await until(lambda: arrived(service, 16))
            service.stop.set()
        assert [len((await ask).candidates) for ask in asks] == [4] * 16
        await service.ended
        with pytest.raises(GenerationError):
            await service.client.generate(BOT, [turn("Привет")], timeout=0.5)


async def test_a_stop_while_the_engine_hangs_ends_the_service(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "END_SECONDS", 0.1)
    async with running(toy.bots_dir, toy.models_dir, drain_seconds=0.1) as service:
        os.kill(service.engine, signal.SIGSTOP)
        asks = [
            asyncio.create_task(service.client.generate(BOT, [turn("Привет " * 500)]))
            for _ in range(60)
        ]
        await until(lambda: _busy(service))
        service.stop.set()
        await asyncio.wait_for(service.ended, PATIENCE)
        ended = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(each, GenerationError) for each in ended)
    assert service.engine not in engine_pids()
