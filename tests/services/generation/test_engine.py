"""The engine against its oracle, and what its child does while several things go on."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel, LogitsProcessor, LogitsProcessorList

from contracts.clock import Clock
from contracts.sampling import Sampling
from services.generation.engine import child, protocol
from services.generation.engine.engine import Engine, LoadFailed
from services.generation.engine.openvino_pipeline import Pipeline
from services.generation.engine.prefix_cache import BLOCK
from services.generation.errors import EngineDown
from tests.conftest import PATIENCE, Toy
from tests.services.generation.conftest import (
    EXACT,
    GREEDY,
    child_in_a_thread,
    engine_request,
    news,
    version,
)

BABBLE = GREEDY.model_copy(update={"temperature": 2.0, "repetition": 2.0})
"""Makes the toy model babble up to the limit."""
KEY, NEW, EOS = ("toy", "1"), 24, 2
TIE = 1e-3
"""Scores nearer than this are drawn either way."""
PROMPTS = [[*range(5, 8 + number)] for number in range(32)]


@asynccontextmanager
async def engine_of(
    path: Path, options: protocol.EngineOptions, reports: list[protocol.Report] | None = None
) -> AsyncIterator[Engine]:
    engine = Engine(options, Clock(), ([] if reports is None else reports).append)
    await engine.start()
    try:
        await engine.load(version(KEY, path), engine_request([5, 6]))
        yield engine
    finally:
        await engine.close()


async def _last(engine: Engine, request: protocol.EngineRequest) -> protocol.EngineEvent:
    return [event async for event in engine.submit(request)][-1]


async def _ids(engine: Engine, request: protocol.EngineRequest) -> list[list[int]]:
    event = await _last(engine, request)
    assert event.error is None
    return [each.ids for each in event.completions]


class Penalties(LogitsProcessor):
    """Takes from the scores of what a reply has already said, as OpenAI defines it."""

    def __init__(self, prompt: int, sampling: Sampling) -> None:
        self._prompt, self._sampling = prompt, sampling

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        said = ids[0, self._prompt :].bincount(minlength=scores.shape[-1])
        return scores - self._sampling.frequency * said - self._sampling.presence * (said > 0)


@pytest.mark.parametrize(
    "penalty", [{}, {"repetition": 1.3}, {"frequency": 1.0}, {"presence": 2.0}]
)
async def test_the_exact_profile_is_transformers_alone_and_in_a_batch(
    toy: Toy, exact_model: Path, penalty: dict[str, Any]
) -> None:
    sampling = GREEDY.model_copy(update=penalty)
    oracle: Any = GPT2LMHeadModel.from_pretrained(toy.run / "model")
    requests, expected = [], []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        reply = oracle.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            min_new_tokens=1,
            do_sample=False,
            repetition_penalty=sampling.repetition,
            logits_processor=LogitsProcessorList([Penalties(len(prompt), sampling)]),
            eos_token_id=EOS,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        margins = [best - second for [[best, second]] in (s.topk(2).values for s in reply.scores)]
        if min(margins) > TIE:
            requests.append(engine_request(prompt, sampling=sampling))
            ids = reply.sequences[0, len(prompt) :].tolist()
            expected.append([[token for token in ids if token != EOS]])
    assert len(requests) >= 8
    async with engine_of(exact_model, EXACT) as engine:
        assert [await _ids(engine, request) for request in requests] == expected
        assert await asyncio.gather(*(_ids(engine, each) for each in requests)) == expected


async def test_a_seed_draws_the_same_in_any_batch(exact_model: Path) -> None:
    requests = [
        engine_request(PROMPTS[3], sampling=BABBLE, seed=seed, candidates=2) for seed in range(1, 9)
    ]
    async with engine_of(exact_model, EXACT) as engine:
        alone = [await _ids(engine, request) for request in requests]
        assert await asyncio.gather(*(_ids(engine, each) for each in requests)) == alone
    assert len({tuple(ids) for replies in alone for ids in replies}) > 8


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
async def test_a_draw_can_be_narrowed_down(exact_model: Path, narrow: dict[str, Any]) -> None:
    wide = GREEDY.model_copy(update={"temperature": 2.0})
    async with engine_of(exact_model, EXACT) as engine:
        greedy, drawn, narrowed = [
            [await _ids(engine, engine_request(ids, sampling=sampling)) for ids in PROMPTS]
            for sampling in (GREEDY, wide, wide.model_copy(update=narrow))
        ]
    assert drawn != greedy
    assert sum(map(list.__eq__, narrowed, greedy)) >= len(greedy) - 2  # a tie goes either way


async def test_leaving_a_requests_events_early_cancels_it(exact_model: Path) -> None:
    reports: list[protocol.Report] = []
    async with engine_of(exact_model, protocol.EngineOptions(), reports) as engine:
        fields = {"max_new_tokens": 4000, "stream": True, "stop_ids": frozenset[int]()}
        endless = engine_request(PROMPTS[0], sampling=BABBLE, **fields)
        async with aclosing(engine.submit(endless)) as stays:
            await anext(stays)
            async with aclosing(engine.submit(endless)) as goes:
                await anext(goes)
            # the second would outlast the first: only left early it leaves the first alone
            async for _ in stays:
                if reports[-1].batches[-1] == 1:
                    return
    pytest.fail("the second was not cancelled")


def test_a_load_holds_up_no_other(exact_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_load = threading.Event()

    class SlowToLoad(Pipeline):
        def __init__(self, path: str, options: protocol.EngineOptions) -> None:
            if path.endswith("slow"):
                may_load.wait(PATIENCE)
            super().__init__(path.removesuffix("slow"), options)

    monkeypatch.setattr(child, "Pipeline", SlowToLoad)
    slow = protocol.Load(("toy", "2"), f"{exact_model}/slow", 3)
    questions: list[protocol.Question] = [
        protocol.Ping(1),
        protocol.Load(KEY, str(exact_model), 2),
        slow,
        engine_request([5], id=4),
    ]
    with child_in_a_thread() as connection:
        for question in questions:
            connection.sendall(protocol.encode(question))
            if question is not slow:
                assert [(e.id, e.is_last, e.error) for e in news(connection)] == [
                    (question.id, True, None)
                ]
        may_load.set()
        assert news(connection) == [protocol.EngineEvent(slow.id, is_last=True)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"sampling": BABBLE.model_copy(update={"top_p": 7.0})}, "top_p"),
        ({"ids": [5] * 5 * BLOCK}, "do not fit into 128 cached tokens"),
    ],
)
async def test_what_cannot_be_done_ends_with_a_reason_and_the_others_go_on(
    exact_model: Path, fields: dict[str, Any], reason: str
) -> None:
    async with engine_of(exact_model, protocol.EngineOptions(cache_tokens=4 * BLOCK)) as engine:
        other = asyncio.create_task(_ids(engine, engine_request(PROMPTS[0])))
        event = await _last(engine, replace(engine_request([5, 6]), **fields))
        assert reason in (event.error or "")
        assert await other


async def test_a_version_that_does_not_answer_is_not_loaded(exact_model: Path) -> None:
    second = version(("toy", "2"), exact_model)
    async with engine_of(exact_model, protocol.EngineOptions()) as engine:
        with pytest.raises(LoadFailed, match="it does not answer"):
            await engine.load(second, engine_request([], key=second.key))
        assert list(engine.loaded) == [KEY]
        with pytest.raises(EngineDown):
            engine.submit(engine_request([5], key=second.key))


@pytest.mark.parametrize("command", ["false", "/nowhere"])
async def test_pauses_before_restarts_grow(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Hasty(Clock):
        """Passes over the pauses, and over no more than eight."""

        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 8:
                raise asyncio.CancelledError

    async def restore() -> None:
        pytest.fail("no child ever runs")

    monkeypatch.setattr(sys, "executable", command)
    engine = Engine(protocol.EngineOptions(), Hasty())
    with pytest.raises(asyncio.CancelledError):
        await engine.run(restore)
    assert pauses[0] <= 0.1
    assert 2.5 <= pauses[-1] <= 5.0
    await engine.close()


async def test_a_long_prompt_seen_before_is_reported_as_cached(exact_model: Path) -> None:
    prompt = [5 + number % 50 for number in range(4 * BLOCK + 1)]
    async with engine_of(exact_model, protocol.EngineOptions()) as engine:
        cached = [
            (await _last(engine, engine_request(ids))).cached
            for ids in (prompt, prompt, prompt[: BLOCK + 5], [9, *prompt])
        ]
    assert cached == [0, 4 * BLOCK, BLOCK, 0]


@pytest.mark.parametrize("moment", range(4))
async def test_a_cancellation_is_not_lost_though_the_child_ends_at_that_moment(
    moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, ended = Engine(protocol.EngineOptions(), Clock()), asyncio.Event()
    monkeypatch.setattr(engine, "_wait_for_end", ended.wait)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0.01)
    ended.set()
    for _ in range(moment):
        await asyncio.sleep(0)
    if closing.cancel():  # it has not ended yet
        with pytest.raises(asyncio.CancelledError):
            await closing
