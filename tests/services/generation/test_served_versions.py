"""Versions and bots that come, go, break and come back, while requests go on."""

import asyncio
import errno
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Sequence
from math import isnan
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from contracts import model_version
from contracts.answer_words import (
    ANSWER_WORDS,
    AnswerWords,
    answer_stems,
    asked_stems,
    pair_key,
)
from contracts.clock import Clock
from services.generation import model_store
from services.generation.deaths import Deaths
from services.generation.engine.engine import Engine
from services.generation.engine.protocol import (
    EngineEvent,
    EngineOptions,
    EngineRequest,
    Question,
)
from services.generation.metrics import Metrics
from services.generation.model_store import ModelStore
from services.generation.served_versions import Versions
from tests.conftest import BOT, FORGETS_UNTIL, PATIENCE
from tests.services.generation.conftest import NEW, Volumes, until


async def test_a_bot_is_said_not_to_answer_before_the_engine_is_up(tmp_path: Path) -> None:
    for name in ("published", "unpublished"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\n")
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "current").symlink_to("versions/1")
    registry, clock = CollectorRegistry(), Clock()
    store, engine = ModelStore(tmp_path, tmp_path), Engine(EngineOptions(), clock)
    versions = Versions(store, engine, Metrics(registry), clock, Deaths(None))
    following = asyncio.create_task(versions.follow(1.0))

    def serving(bot: str) -> float | None:
        return registry.get_sample_value("persona_generation_serving", {"bot": bot})

    await until(lambda: serving("published") == 0)
    assert isnan(serving("unpublished") or 0)
    following.cancel()


async def test_a_new_version_takes_over_while_requests_go_on(volumes: Volumes) -> None:
    async with volumes.serve() as service:
        answered: set[str] = set()

        async def keep_asking() -> None:
            while len(answered) < 2:
                answered.add((await service.ask(max_new_tokens=4)).model_version)

        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        volumes.publish()
        await asyncio.wait_for(asyncio.gather(*asking), PATIENCE)
        assert answered == {volumes.version, NEW}


async def test_a_version_that_comes_back_while_it_still_answers_goes_on_answering(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = asyncio.Event()
    real = Engine._events

    async def held(self: Engine, question: Question) -> AsyncGenerator[EngineEvent, None]:
        """Hold what the version of before is asked."""
        if isinstance(question, EngineRequest) and question.key[1] == volumes.version:
            await may_go_on.wait()
        async for event in real(self, question):
            yield event

    monkeypatch.setattr(Engine, "_events", held)
    may_go_on.set()
    async with volumes.serve() as service:
        may_go_on.clear()
        asks = [service.ask() for _ in range(4)]
        await until(lambda: service.has_arrived(4))
        volumes.publish()
        await until(lambda: service.serves(NEW))
        volumes.roll_back()
        await until(lambda: service.serves(volumes.version))
        may_go_on.set()
        assert {(await ask).model_version for ask in asks} == {volumes.version}


async def test_rolling_back_switches_as_publishing_does(volumes: Volumes) -> None:
    async with volumes.serve() as service:

        async def serves_alone(version: str) -> bool:
            model = await service.model()
            loaded = service.metric("version_info", bot=BOT, version=version)
            assert model.forgets_until == FORGETS_UNTIL
            return bool(model.version == version and list(model.loaded) == [version] and loaded)

        volumes.publish()
        await until(lambda: serves_alone(NEW))
        volumes.roll_back()
        await until(lambda: serves_alone(volumes.version))
        assert not service.metric("version_info", bot=BOT, version=NEW)


async def test_candidates_are_ranked_by_the_words_that_a_version_has(volumes: Volumes) -> None:
    async with volumes.serve() as service:

        async def texts() -> list[str]:
            candidates = (await service.ask(seed=1)).candidates
            return ["\n".join(each.messages) for each in candidates]

        drawn = await texts()
        [asked] = asked_stems("Привет")
        lifts = {
            pair_key(asked, word): float(number)
            for number, text in enumerate(drawn)
            for word in answer_stems(text)
        }
        words = AnswerWords.of(lifts, [])
        volumes.publish(words=words)
        await until(lambda: service.serves(NEW))
        ranked = [drawn[place] for place in words.order("Привет", drawn)]
        assert await texts() == ranked != drawn


async def test_a_previous_version_that_is_deleted_is_not_missed(volumes: Volumes) -> None:
    volumes.publish()
    async with volumes.serve() as service:
        await until(lambda: service.serves(NEW))
        (volumes.models / BOT / "previous").unlink()
        shutil.rmtree(volumes.models / BOT / "versions" / volumes.version)
        os.kill(service.engine, signal.SIGKILL)
        await until(service.answers)
        model = await service.model()
        assert (model.version, model.problem) == (NEW, "")


async def test_a_broken_version_is_refused_by_name(volumes: Volumes) -> None:
    async with volumes.serve() as service:
        volumes.publish(broken="openvino_model.bin", rehash=False)
        await service.until_problem("openvino_model.bin")
        assert (await service.ask()).model_version == volumes.version
        assert service.metric("versions_refused_total", bot=BOT) == 1


@pytest.mark.parametrize(
    "spoil", [model_version.MANIFEST, *model_version.MODEL_FILES, ANSWER_WORDS, "stop"]
)
async def test_the_previous_serves_in_place_of_a_broken_one(volumes: Volumes, spoil: str) -> None:
    if spoil == "stop":
        volumes.publish(stop=10_000_000)
    else:
        volumes.publish(broken=spoil)
    async with volumes.serve() as service:
        model = await service.model()
        assert model.version == volumes.version
        assert model.problem
        assert await service.answers()
        assert service.metric("versions_refused_total", bot=BOT) == 1


async def test_while_a_version_cannot_be_read_the_one_before_serves(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = True

    def flaky(path: Path, only: Sequence[str]) -> object:
        if path.name == NEW and broken:
            raise OSError(errno.EIO, "Input/output error")
        return model_version.verify(path, only)

    monkeypatch.setattr(model_store, "verify", flaky)
    volumes.publish()
    async with volumes.serve() as service:
        model = await service.model()
        assert model.version == volumes.version
        assert f"{NEW} cannot be read now" in model.problem
        assert not service.metric("versions_refused_total", bot=BOT)
        broken = False
        await until(lambda: service.serves(NEW))
        assert not (await service.model()).problem
