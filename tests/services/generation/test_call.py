"""One request's way: what a stream is told, and when."""

from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.model_version import BotModels
from contracts.sampling import Sampling
from moderation import Moderator, Policy
from protos.generation.v1 import generation_pb2 as pb
from services.generation.call import Call
from services.generation.client import request, turn
from services.generation.config import GenerationConfig
from services.generation.engine import Event, Finish, Job
from services.generation.engine.protocol import Generated
from services.generation.model_store import Bot, ModelStore, Version
from services.generation.request import FLUSH_SECONDS, prepare
from tests.conftest import BOT, Toy

STEP = 0.01
"""Seconds of a step of the engine that is played here."""


@pytest.fixture(scope="session")
def version(toy: Toy) -> Version:
    current = BotModels(toy.models_dir / BOT).current_id() or ""
    return ModelStore(toy.bots_dir, toy.models_dir).open(BOT, current)


def _call(version: Version, stop: tuple[str, ...] = ()) -> Call:
    bot = Bot(BOT, Sampling(), GenerationConfig(), Moderator(Policy()))
    asked = request(BOT, [turn("Привет")], sampling=pb.Sampling(stop=stop))
    return Call(0.0, bot, version, prepare(asked, 1, bot, version, stream=True))


def _engine(ids: list[int]) -> Any:
    """Tells a token a step."""

    async def submit(job: Job) -> AsyncGenerator[Event, None]:
        for number, token in enumerate(ids, 1):
            yield Event(job.id, 0.0, number * STEP, (token,))
        whole = Generated(ids, Finish.LENGTH)
        yield Event(job.id, 0.0, (len(ids) + 1) * STEP, generated=(whole,), cached=32)

    return SimpleNamespace(submit=submit)


async def test_a_stream_is_told_of_new_text_at_most_every_flush(version: Version) -> None:
    text = "До моста недолго, а на мосту как пойдёт. Садитесь у окна."
    ids = version.words.encode(text)
    deltas = [delta async for delta in _call(version).run(_engine(ids))]
    assert "".join(deltas) == text
    assert 1 < len(deltas) <= 2 + len(ids) * STEP / FLUSH_SECONDS


async def test_text_held_back_by_the_flush_is_told_before_a_stop_string_ends_it(
    version: Version,
) -> None:
    ids = version.words.encode("Передаём. Сдача едет обратно.")
    call = _call(version, stop=("едет",))
    deltas = [delta async for delta in call.run(_engine(ids))]
    assert "".join(deltas) == "Передаём. Сдача "
    [only] = call.response().candidates
    assert (list(only.messages), only.finish_reason) == (
        ["Передаём. Сдача"],
        pb.FINISH_REASON_STOP,
    )


async def test_the_time_a_token_and_the_cached_tokens_are_the_engines(version: Version) -> None:
    ids = version.words.encode("Передаём. Сдача едет обратно.")
    call = _call(version)
    async for _ in call.run(_engine(ids)):
        pass
    assert call.cached_tokens == 32
    assert call.seconds_per_token() == pytest.approx(len(ids) * STEP / (len(ids) - 1))
