"""The engine against its oracle, and what its child does while several things go on."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel, LogitsProcessor, LogitsProcessorList

from contracts.clock import SystemClock
from contracts.sampling import Sampling
from services.generation.engine import child
from services.generation.engine.engine import Engine, LoadFailed
from services.generation.engine.pipeline import Pipeline
from services.generation.engine.prefixes import BLOCK
from services.generation.engine.protocol import (
    EngineEvent,
    EngineOptions,
    EngineRequest,
    Load,
    Ping,
    Question,
    Report,
    encode,
    receive,
)
from services.generation.errors import EngineDown
from tests.conftest import PATIENCE, Toy

GREEDY = Sampling(temperature=0.0, top_p=1.0, top_k=0, repetition=1.0)
BABBLE = GREEDY.model_copy(update={"temperature": 2.0, "repetition": 2.0})
"""Makes the toy model babble up to the limit."""
KEY, NEW, EOS = ("toy", "1"), 24, 2
TIE = 1e-3
"""Scores nearer than this are drawn either way."""
EXACT = EngineOptions(exact=True)
PROMPTS = [[*range(5, 8 + number)] for number in range(32)]


@asynccontextmanager
async def engine_of(
    path: Path, options: EngineOptions, reports: list[Report] | None = None
) -> AsyncIterator[Engine]:
    engine = Engine(options, SystemClock(), ([] if reports is None else reports).append)
    await engine.start()
    try:
        await engine.load(_version(path), _request([5, 6]))
        yield engine
    finally:
        await engine.close()


def _version(path: Path) -> Any:
    return SimpleNamespace(key=KEY, path=path)


def _request(ids: list[int], sampling: Sampling = GREEDY, seed: int = 0) -> EngineRequest:
    return EngineRequest(KEY, ids, sampling, seed, NEW, frozenset({EOS}))


async def _last(engine: Engine, request: EngineRequest) -> EngineEvent:
    return [event async for event in engine.submit(request)][-1]


async def _ids(engine: Engine, request: EngineRequest) -> list[list[int]]:
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
            requests.append(_request(prompt, sampling))
            ids = reply.sequences[0, len(prompt) :].tolist()
            expected.append([[token for token in ids if token != EOS]])
    assert len(requests) >= 8
    async with engine_of(exact_model, EXACT) as engine:
        assert [await _ids(engine, request) for request in requests] == expected
        assert await asyncio.gather(*(_ids(engine, each) for each in requests)) == expected


async def test_a_seed_draws_the_same_alone_in_a_batch_and_for_each_candidate(
    exact_model: Path,
) -> None:
    requests = [replace(_request(PROMPTS[3], BABBLE, seed), candidates=2) for seed in range(1, 9)]
    async with engine_of(exact_model, EXACT) as engine:
        alone = [await _ids(engine, request) for request in requests]
        assert await asyncio.gather(*(_ids(engine, each) for each in requests)) == alone
    assert len({tuple(ids) for replies in alone for ids in replies}) > 8


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
async def test_a_draw_can_be_narrowed_down_to_the_likeliest(
    exact_model: Path, narrow: dict[str, Any]
) -> None:
    wide = GREEDY.model_copy(update={"temperature": 2.0})
    async with engine_of(exact_model, EXACT) as engine:
        greedy, drawn, narrowed = [
            [await _ids(engine, _request(ids, sampling)) for ids in PROMPTS]
            for sampling in (GREEDY, wide, wide.model_copy(update=narrow))
        ]
    assert drawn != greedy
    assert sum(map(list.__eq__, narrowed, greedy)) >= len(greedy) - 2  # a tie goes either way


async def test_leaving_a_requests_events_early_cancels_it(exact_model: Path) -> None:
    reports: list[Report] = []
    async with engine_of(exact_model, EngineOptions(), reports) as engine:
        endless = replace(
            _request(PROMPTS[0], BABBLE),
            max_new_tokens=4000,
            stream=True,
            stop_ids=frozenset(),
        )
        async with aclosing(engine.submit(endless)) as stays:
            await anext(stays)
            async with aclosing(engine.submit(endless)) as goes:
                await anext(goes)
                assert reports[-1].batches[-1] == 2
            # the second would outlast the first: only left early it leaves the first alone
            async for _ in stays:
                if reports[-1].batches[-1] == 1:
                    return
    pytest.fail("the second was not cancelled")


def test_a_version_is_loaded_while_another_answers(
    exact_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = threading.Event()

    class SlowToLoad(Pipeline):
        def __init__(self, path: str, options: EngineOptions) -> None:
            if path.endswith("slow"):
                may_load.wait(PATIENCE)
            super().__init__(path.removesuffix("slow"), options)

    def run() -> None:
        with suppress(EOFError):
            child.Child(theirs, EngineOptions()).run()

    monkeypatch.setattr(child, "Pipeline", SlowToLoad)
    ours, theirs = socket.socketpair()
    working = threading.Thread(target=run)
    working.start()
    slow = Load(("toy", "2"), f"{exact_model}/slow", 3)
    questions: list[Question] = [
        Ping(1),
        Load(KEY, str(exact_model), 2),
        slow,
        replace(_request([5]), id=4),
    ]
    for question in questions:
        ours.sendall(encode(question))
        if question is not slow:
            assert [(e.id, e.is_last, e.error) for e in receive(ours).events] == [
                (question.id, True, None)
            ]
    may_load.set()
    assert receive(ours).events == [EngineEvent(slow.id, is_last=True)]
    ours.close()
    working.join(PATIENCE)
    theirs.close()


async def test_an_impossible_option_ends_the_request_with_a_reason(exact_model: Path) -> None:
    impossible = _request([5, 6], BABBLE.model_copy(update={"top_p": 7.0}))
    async with engine_of(exact_model, EngineOptions()) as engine:
        assert "top_p" in ((await _last(engine, impossible)).error or "")
        assert await _ids(engine, _request([5, 6]))
        with pytest.raises(EngineDown):
            await _last(engine, replace(impossible, key=("nobody", "1")))


async def test_a_version_that_does_not_answer_is_not_loaded(exact_model: Path) -> None:
    async with engine_of(exact_model, EngineOptions()) as engine:
        with pytest.raises(LoadFailed, match="it does not answer"):
            await engine.load(
                SimpleNamespace(key=("toy", "2"), path=exact_model),  # type: ignore[arg-type]
                replace(_request([]), key=("toy", "2")),
            )
        assert list(engine.loaded) == [KEY]


async def test_a_prompt_larger_than_the_cache_ends_with_a_reason_and_the_others_go_on(
    exact_model: Path,
) -> None:
    async with engine_of(exact_model, EngineOptions(cache_tokens=4 * BLOCK)) as engine:
        other = asyncio.create_task(_ids(engine, _request(PROMPTS[0])))
        large = await _last(engine, _request([5] * 5 * BLOCK))
        assert "do not fit into 128 cached tokens" in (large.error or "")
        assert await other


async def test_a_long_prompt_seen_before_is_reported_as_cached(exact_model: Path) -> None:
    prompt = [5 + number % 50 for number in range(4 * BLOCK + 1)]
    async with engine_of(exact_model, EngineOptions()) as engine:
        cached = [
            (await _last(engine, _request(ids))).cached
            for ids in (prompt, prompt, prompt[: BLOCK + 5], [9, *prompt])
        ]
    assert cached == [0, 4 * BLOCK, BLOCK, 0]
