"""One pipeline, step by step: a reply must not depend on what else is computed or cached."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.generation.engine import openvino_pipeline
from services.generation.engine.openvino_pipeline import Pipeline
from services.generation.engine.prefix_cache import BLOCK, Prefixes
from services.generation.engine.protocol import EngineEvent, EngineOptions, EngineRequest
from tests.services.generation.conftest import EXACT, GREEDY, engine_request

NEVER = frozenset({4})
"""A stop token that the toy has not learned."""


def _request(number: int, ids: Sequence[int], **fields: Any) -> EngineRequest:
    return engine_request(ids, id=number, **fields)


def _babble(number: int, ids: Sequence[int], new: int) -> EngineRequest:
    """A request whose reply is as long as it may be, reported token by token."""
    return _request(number, ids, max_new_tokens=new, stop_ids=NEVER, stream=True)


def _text(length: int, first: int) -> list[int]:
    chosen = random.Random(first)
    return [first, *(chosen.randrange(5, 300) for _ in range(length - 1))]


def _pipeline(path: Path, options: EngineOptions = EXACT) -> Pipeline:
    return Pipeline(str(path), options)


def _steps(engine: Pipeline, requests: list[EngineRequest], count: int) -> list[EngineEvent]:
    for request in requests:
        engine.submit(request)
    return [event for _ in range(count) for event in engine.step()[0]]


def _run(engine: Pipeline, arrivals: Iterable[list[EngineRequest]]) -> dict[int, list[int]]:
    """Each list of requests comes before one step; returns the reply to every request."""
    waiting, replies = list(arrivals), dict[int, list[int]]()
    while waiting or engine.is_busy:
        for event in _steps(engine, waiting.pop(0) if waiting else [], 1):
            assert event.error is None
            if event.is_last:
                replies[event.id] = event.completions[0].ids
    return replies


def _alone(path: Path, requests: list[EngineRequest]) -> dict[int, list[int]]:
    engine = _pipeline(path)
    return {number: ids for each in requests for number, ids in _run(engine, [[each]]).items()}


@pytest.mark.parametrize("seed", range(4))
def test_prompts_that_are_parts_of_each_other_answer_as_alone(exact_model: Path, seed: int) -> None:
    lengths = [*range(3, 35), *range(36, 100, 7)]
    requests = [_request(length, range(5, 5 + length)) for length in lengths]
    alone = _alone(exact_model, requests)
    chosen = random.Random(seed)
    chosen.shuffle(requests)
    arrivals = []
    while requests:
        count = chosen.choice([1, 1, 2, 3, 5, 8, 13])
        arrivals.append(requests[:count])
        requests = requests[count:]
    assert _run(_pipeline(exact_model), arrivals) == alone


@pytest.mark.parametrize("length", [4, 20, BLOCK - 1, BLOCK + 9])
def test_chats_that_go_on_with_one_conversation_do_not_mix(exact_model: Path, length: int) -> None:
    first = _request(1, _text(length, 5))
    engine = _pipeline(exact_model)
    common = [*first.ids, *_run(engine, [[first]])[first.id], *first.stop_ids]
    requests = [_request(number, [*common, *_text(6, number)]) for number in range(6, 12)]
    assert _run(engine, [requests]) == _alone(exact_model, requests)


@pytest.mark.parametrize("steps", range(4))
def test_a_cancelled_prompt_leaves_nothing_behind(exact_model: Path, steps: int) -> None:
    other, long = _babble(1, _text(200, 6), 40), _request(2, _text(200, 5))
    engine = _pipeline(exact_model)
    _steps(engine, [other, long], steps)  # together they are too long for one step
    engine.cancel(other.id)
    engine.cancel(long.id)
    assert _run(engine, [[long]]) == _alone(exact_model, [long])


def test_a_long_prompt_holds_up_nobody(exact_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_pipeline, "READ_TOKENS", BLOCK)
    engine = _pipeline(exact_model)
    other = _babble(1, _text(9, 5), 100)
    long = _request(2, _text(5 * BLOCK, 6), stream=True)
    _steps(engine, [other], 1)
    events = _steps(engine, [long], 5)
    assert [len(event.tokens) for event in events if event.id == other.id] == [1] * 5
    assert [event.id for event in events].count(long.id) == 1  # with the fifth piece


def test_requests_that_the_cache_cannot_hold_together_answer_as_alone(exact_model: Path) -> None:
    requests = [_babble(number, _text(3 * BLOCK, number), 60) for number in range(5, 13)]
    engine = _pipeline(exact_model, replace(EXACT, cache_tokens=8 * BLOCK))
    assert _run(engine, [requests]) == _alone(exact_model, requests)


def test_a_cancelled_request_is_out_of_the_batch_at_the_next_step(exact_model: Path) -> None:
    engine = _pipeline(exact_model)
    for number in (1, 2, 3):
        engine.submit(_babble(number, _text(9, 4 + number), 100))
    assert [engine.step()[1] for _ in range(3)] == [3, 3, 3]
    engine.cancel(2)
    assert [engine.step()[1] for _ in range(3)] == [2, 2, 2]
    engine.cancel(1)
    engine.cancel(3)
    assert engine.is_busy  # the caches of the cancelled are freed by a step
    engine.step()
    assert not engine.is_busy


@pytest.mark.parametrize("candidates", [1, 2])
def test_the_first_token_comes_as_the_prompt_is_read(exact_model: Path, candidates: int) -> None:
    engine = _pipeline(exact_model)
    chance = GREEDY.model_copy(update={"temperature": 1.0})
    request = _request(1, _text(9, 5), stop_ids=NEVER, candidates=candidates, sampling=chance)
    assert not _steps(engine, [request], 1)
    read_by = time.monotonic()
    [event] = _steps(engine, [], 23)
    assert event.started_at < event.first_token_at <= read_by < event.at


def test_prefixes_are_forgotten_oldest_first() -> None:
    prefixes = Prefixes(blocks=4)
    old, new = list(range(2 * BLOCK)), list(range(1000, 1000 + 3 * BLOCK))
    prefixes.add(old)
    prefixes.add(new)
    assert prefixes.cached_tokens([*new, 1]) == 3 * BLOCK
    assert prefixes.cached_tokens(new) == 2 * BLOCK  # its last token has to be computed
    assert prefixes.cached_tokens([*old, 1]) == 0
