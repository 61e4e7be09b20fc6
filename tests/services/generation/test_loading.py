"""Versions that are loaded and unloaded, in which order, and which is blamed for a death."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from services.generation.client import RetryLater
from services.generation.engine.engine import Engine
from services.generation.engine.protocol import EngineRequest, VersionKey
from services.generation.model_store import Version
from tests.conftest import BOT
from tests.services.generation.conftest import NEW, Volumes, until


def _before_load(
    monkeypatch: pytest.MonkeyPatch, do: Callable[[Engine, Version], Awaitable[object]]
) -> None:
    """Let engines do something before they load a version."""
    real = Engine.load

    async def load(self: Engine, version: Version, probe: EngineRequest) -> None:
        await do(self, version)
        await real(self, version, probe)

    monkeypatch.setattr(Engine, "load", load)


async def _die_over_new(engine: Engine, version: Version) -> None:
    if version.id == NEW and engine._process:
        engine._process.kill()


@pytest.mark.parametrize("problem", ["openvino_model.bin", "the engine dies over it"])
async def test_a_version_that_does_not_load_again_gives_way_to_the_one_before(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    volumes.publish()
    async with volumes.serve() as service:
        if problem == "openvino_model.bin":
            (volumes.models / BOT / "versions" / NEW / problem).unlink()
        else:
            _before_load(monkeypatch, _die_over_new)
        os.kill(service.engine, signal.SIGKILL)
        await until(service.answers)  # which it does not deny meanwhile
        assert await service.serves(volumes.version)
        assert problem in (await service.model()).problem
        assert service.metric("version_info", bot=BOT, version=volumes.version)
        assert not service.metric("version_info", bot=BOT, version=NEW)


async def test_a_version_over_which_the_engine_dies_ends_others_requests_once_and_is_refused(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _before_load(monkeypatch, _die_over_new)
    async with volumes.serve() as service:
        volumes.publish()
        await service.until_problem("the engine dies over it")
        await until(service.answers)
        assert await service.serves(volumes.version)
        assert service.metric("engine_restarts_total") == 1


async def test_after_a_death_the_first_bot_answers_while_the_next_is_still_loaded(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = asyncio.Event()
    may_load.set()

    async def wait(engine: Engine, version: Version) -> None:
        if version.manifest.bot == "second":
            await may_load.wait()

    _before_load(monkeypatch, wait)
    volumes.publish(bot="second")
    (volumes.bots / "second.yaml").write_text("name: second\n")
    async with volumes.serve() as service:
        may_load.clear()
        os.kill(service.engine, signal.SIGKILL)
        await until(service.answers)
        assert not await service.is_healthy("second")
        may_load.set()
        await until(lambda: service.is_healthy("second"))


@pytest.mark.parametrize("asked_before", [True, False])
async def test_after_a_death_the_bot_that_is_asked_is_loaded_first(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch, asked_before: bool
) -> None:
    may_start, loaded = asyncio.Event(), list[str]()
    start = Engine.start

    async def wait(engine: Engine) -> None:
        await may_start.wait()
        await start(engine)

    async def note(engine: Engine, version: Version) -> None:
        loaded.append(version.manifest.bot)

    volumes.publish(bot="second")
    (volumes.bots / "second.yaml").write_text("name: second\n")
    async with volumes.serve() as service:
        monkeypatch.setattr(Engine, "start", wait)
        _before_load(monkeypatch, note)
        with service.frozen_engine():
            asking = [service.ask(bot="second") for _ in range(asked_before)]
            await until(lambda: service.has_arrived(len(asking)))
            os.kill(service.engine, signal.SIGKILL)
        await until(lambda: service.metric("engine_restarts_total") == 1)
        asking = asking or [service.ask(bot="second")]
        assert isinstance((await asyncio.gather(*asking, return_exceptions=True))[0], RetryLater)
        may_start.set()
        await until(lambda: len(loaded) == 2)
    assert loaded == ["second", BOT]


async def test_a_version_is_not_blamed_for_a_death_before_it_was_loaded(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, current = Engine.load, list[list[str]]()

    async def load(self: Engine, version: Version, probe: EngineRequest) -> None:
        """Die once between the first bot's load and the second's."""
        await real(self, version, probe)
        if version.manifest.bot == BOT and self._process:
            current.append([each.version for each in await service.client.list_models()])
            if len(current) == 1:
                self._process.kill()
                await self._wait_for_end()

    volumes.publish(bot="second")
    (volumes.bots / "second.yaml").write_text("name: second\n")
    async with volumes.serve() as service:
        monkeypatch.setattr(Engine, "load", load)
        os.kill(service.engine, signal.SIGKILL)
        await until(lambda: service.is_healthy("second") if len(current) == 2 else False)
    assert current == [[volumes.version, NEW]] * 2


async def test_an_old_version_is_unloaded_before_the_next_bot_switches(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = list[VersionKey]()

    async def look(engine: Engine, version: Version) -> None:
        if version.manifest.bot == BOT:
            volumes.publish(bot="second")  # the same look at the volumes finds it
        else:
            loaded.extend(engine.loaded)

    (volumes.bots / "second.yaml").write_text("name: second\n")
    async with volumes.serve() as service:
        _before_load(monkeypatch, look)
        volumes.publish()
        await until(lambda: service.is_healthy("second"))
    assert loaded == [(BOT, NEW)]
