"""Versions and bots that come, go, break and come back, while requests go on."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from contracts.model_version import (
    MANIFEST,
    BotModels,
    Manifest,
    Stop,
    hash_files,
    read_manifest,
    verify,
)
from services.generation import model_store, server
from services.generation.client import BotUnavailable, turn
from services.generation.engine.engine import Engine
from services.generation.engine.protocol import EngineEvent, EngineRequest, Question
from services.generation.model_store import Version
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.generation.conftest import Service, answers, arrived, running, until


def _publish_copy(
    models: BotModels, version_id: str, broken: str = "", rehash: bool = False, stop: int = 2
) -> None:
    """Publish the current version again under another id, perhaps with something broken."""
    current = models.path(models.current_id() or "")
    update = {"id": version_id, "stop": Stop(token_ids=(stop,))}
    manifest = read_manifest(current).model_copy(update=update)
    with models.staging() as staged:
        for path in current.iterdir():
            (staged / path.name).write_bytes(path.read_bytes())
        if broken:
            (staged / broken).write_bytes(b"broken")
        if rehash:
            manifest = manifest.model_copy(update={"files": hash_files(staged)})
        models.publish(staged, manifest)


async def test_a_new_version_takes_over_while_requests_go_on(toy: Toy, own_models: Path) -> None:
    async with running(toy.bots_dir, own_models) as service:
        answered: set[str] = set()

        async def keep_asking() -> None:
            while len(answered) < 2:
                response = await service.client.generate(BOT, [turn("Привет")], max_new_tokens=4)
                answered.add(response.model_version)

        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        await asyncio.to_thread(_publish_copy, BotModels(own_models / BOT), "29990101-000000-new")
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE)
        assert answered == {toy.manifest.id, "29990101-000000-new"}


async def test_a_version_that_comes_back_while_it_still_answers_goes_on_answering(
    toy: Toy, own_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, may_go_on = BotModels(own_models / BOT), asyncio.Event()

    class Held(Engine):
        """Holds what the version of before is asked."""

        async def _events(self, question: Question) -> AsyncGenerator[EngineEvent, None]:
            if isinstance(question, EngineRequest) and question.key[1] == toy.manifest.id:
                await may_go_on.wait()
            async for event in super()._events(question):
                yield event

    monkeypatch.setattr(server, "Engine", Held)
    may_go_on.set()
    async with running(toy.bots_dir, own_models) as service:
        may_go_on.clear()

        async def serves(version: str) -> bool:
            return (await service.client.list_models())[0].version == version

        asks = [
            asyncio.create_task(service.client.generate(BOT, [turn("Привет")])) for _ in range(4)
        ]
        await until(lambda: arrived(service, 4))
        await asyncio.to_thread(_publish_copy, models, "29990101-000000-new")
        await until(lambda: serves("29990101-000000-new"))
        await asyncio.to_thread(models.roll_back)
        await until(lambda: serves(toy.manifest.id))
        may_go_on.set()
        assert {(await ask).model_version for ask in asks} == {toy.manifest.id}


async def test_rolling_back_switches_as_publishing_does(toy: Toy, own_models: Path) -> None:
    models = BotModels(own_models / BOT)
    async with running(toy.bots_dir, own_models) as service:
        await asyncio.to_thread(_publish_copy, models, "29990101-000000-new")

        async def serves(version: str) -> bool:
            [model] = await service.client.list_models()
            loaded = service.metric("version_info", bot=BOT, version=version)
            return bool(model.version == version and list(model.loaded) == [version] and loaded)

        await until(lambda: serves("29990101-000000-new"))
        await asyncio.to_thread(models.roll_back)
        await until(lambda: serves(toy.manifest.id))
        assert not service.metric("version_info", bot=BOT, version="29990101-000000-new")


async def test_a_broken_version_is_refused_by_name_and_the_old_one_serves_on(
    toy: Toy, own_models: Path
) -> None:
    models = BotModels(own_models / BOT)
    async with running(toy.bots_dir, own_models) as service:
        _publish_copy(models, "29990101-000000-bad", broken="openvino_model.bin")

        async def refused() -> bool:
            return "openvino_model.bin" in (await service.client.list_models())[0].problem

        await until(refused)
        response = await service.client.generate(BOT, [turn("Привет")])
        assert response.model_version == toy.manifest.id
        assert service.metric("versions_refused_total", bot=BOT) == 1


async def test_with_a_broken_current_at_start_the_previous_serves(
    toy: Toy, own_models: Path
) -> None:
    models = BotModels(own_models / BOT)
    _publish_copy(models, "29990101-000000-bad")
    (models.path("29990101-000000-bad") / MANIFEST).write_text("{}")
    async with running(toy.bots_dir, own_models) as service:
        [model] = await service.client.list_models()
        assert model.version == toy.manifest.id
        assert MANIFEST in model.problem
        assert service.metric("versions_refused_total", bot=BOT) == 1


async def test_a_version_that_does_not_load_again_gives_way_to_the_one_before(
    toy: Toy, own_models: Path
) -> None:
    models = BotModels(own_models / BOT)
    _publish_copy(models, "29990101-000000-new")
    async with running(toy.bots_dir, own_models) as service:
        (models.path("29990101-000000-new") / "openvino_model.bin").unlink()
        os.kill(service.engine, signal.SIGKILL)

        async def back() -> bool:
            return (await service.client.list_models())[0].version == toy.manifest.id

        await until(back)
        assert await answers(service)
        assert "openvino_model.bin" in (await service.client.list_models())[0].problem


async def test_a_version_over_which_the_engine_dies_ends_others_requests_once_and_is_refused(
    toy: Toy, own_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly(Engine):
        async def load(self, version: Version, probe: EngineRequest) -> None:
            if version.id.endswith("deadly") and self._process:
                self._process.kill()
            await super().load(version, probe)

    monkeypatch.setattr(server, "Engine", Deadly)
    async with running(toy.bots_dir, own_models) as service:
        _publish_copy(BotModels(own_models / BOT), "29990101-000000-deadly")
        await until(lambda: _problem(service, "the engine dies over it"))
        await until(lambda: answers(service))
        [model] = await service.client.list_models()
        assert model.version == toy.manifest.id
        assert service.metric("engine_restarts_total") == 1


async def test_while_a_version_cannot_be_read_the_one_before_serves(
    toy: Toy, own_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = asyncio.Event()
    broken.set()

    def flaky(path: Path, only: Sequence[str]) -> Manifest:
        if path.name.endswith("new") and broken.is_set():
            raise OSError(errno.EIO, "Input/output error")
        return verify(path, only)

    monkeypatch.setattr(model_store, "verify", flaky)
    _publish_copy(BotModels(own_models / BOT), "29990101-000000-new")
    async with running(toy.bots_dir, own_models) as service:
        [model] = await service.client.list_models()
        assert model.version == toy.manifest.id
        assert "29990101-000000-new cannot be read now" in model.problem
        assert not service.metric("versions_refused_total", bot=BOT)
        broken.clear()

        async def serves() -> bool:
            [model] = await service.client.list_models()
            return model.version == "29990101-000000-new" and not model.problem

        await until(serves)


async def _health(service: Service, name: str) -> int:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        return int(answer.status)


async def test_a_bots_file_that_breaks_takes_it_out_and_says_why(toy: Toy, tmp_path: Path) -> None:
    bots = tmp_path / "bots"
    bots.mkdir()
    file = bots / f"{BOT}.yaml"
    file.write_text(f"name: {BOT}\n")
    (bots / "polkson.yaml").write_text("name: polkson\n")
    async with running(bots, toy.models_dir) as service:
        await until(lambda: _has_health(service, BOT, health_pb2.HealthCheckResponse.SERVING))
        unpublished = await _health(service, "polkson")
        assert unpublished == health_pb2.HealthCheckResponse.NOT_SERVING

        file.write_text(f"name: {BOT}\nsampling: {{temperature: 9}}\n")
        await until(lambda: _has_health(service, BOT, health_pb2.HealthCheckResponse.NOT_SERVING))
        assert "sampling.temperature" in (await service.client.list_models())[0].problem
        with pytest.raises(BotUnavailable) as refused:
            await service.client.generate(BOT, [turn("Привет")])
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION

        file.write_text("name: other\n")
        await until(lambda: _problem(service, "differ"))
        file.unlink()
        await until(lambda: _gone(service))
        with pytest.raises(BotUnavailable) as refused:
            await service.client.generate(BOT, [turn("Привет")])
        assert refused.value.code is grpc.StatusCode.NOT_FOUND


async def _has_health(service: Service, name: str, status: int) -> bool:
    return await _health(service, name) == status


async def _problem(service: Service, text: str) -> bool:
    return text in (await service.client.list_models())[0].problem


async def _gone(service: Service) -> bool:
    return BOT not in {model.bot for model in await service.client.list_models()}


@pytest.mark.parametrize(
    "spoil", ["stop", "tokenizer.json", "config.json", "openvino_model.xml", "openvino_model.bin"]
)
async def test_a_version_that_would_kill_the_engine_is_refused(
    toy: Toy, own_models: Path, spoil: str
) -> None:
    models = BotModels(own_models / BOT)
    if spoil == "stop":
        _publish_copy(models, "29990101-000000-bad", stop=10_000_000)
    else:
        _publish_copy(models, "29990101-000000-bad", broken=spoil, rehash=True)
    async with running(toy.bots_dir, own_models) as service:
        [model] = await service.client.list_models()
        assert model.version == toy.manifest.id
        assert model.problem
        assert await answers(service)
