"""The engine against its oracle, and what its child does while several things go on."""

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2LMHeadModel, LogitsProcessor, LogitsProcessorList

from services.generation.engine import Draw, Engine, EngineDown, Event, Job, Options, Stepped, child
from services.generation.engine.pipeline import Pipeline
from services.generation.engine.prefixes import BLOCK
from services.generation.engine.protocol import Load, Loaded, Ready, Submit
from tests.conftest import PATIENCE, Toy
from tests.services.generation.conftest import engine_pids, until

GREEDY = Draw(0.0, 1.0, 0, 1.0, 0.0, 0.0, seed=0)
DRAWN = replace(GREEDY, temperature=2.0, repetition=2.0)
"""Makes the toy model babble up to the limit."""
MODEL, NEW, EOS = "toy/1", 24, 2
TIE = 1e-3
"""Scores nearer than this are drawn either way."""


@asynccontextmanager
async def engine_of(
    path: Path, options: Options, reports: list[Stepped] | None = None
) -> AsyncIterator[Engine]:
    told = reports if reports is not None else []
    engine = Engine(options, told.append, lambda: None)
    await engine.start()
    try:
        await engine.load(MODEL, path)
        yield engine
    finally:
        await engine.close()


def _prompts() -> list[list[int]]:
    return [[*range(5, 8 + number)] for number in range(32)]


def _job(number: int, ids: list[int], draw: Draw = GREEDY, candidates: int = 1) -> Job:
    return Job(number, MODEL, ids, draw, candidates, NEW, frozenset({EOS}))


async def _last(engine: Engine, job: Job) -> Event:
    events = [event async for event in engine.submit(job)]
    assert events[-1].error is None
    return events[-1]


async def _ids(engine: Engine, job: Job) -> list[list[int]]:
    return [each.ids for each in (await _last(engine, job)).generated]


class Penalties(LogitsProcessor):
    """Takes from the scores of what a reply has already said, as OpenAI defines it."""

    def __init__(self, prompt: int, draw: Draw) -> None:
        self._prompt, self._draw = prompt, draw

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        said = ids[0, self._prompt :].bincount(minlength=scores.shape[-1])
        return scores - self._draw.frequency * said - self._draw.presence * (said > 0)


@pytest.mark.parametrize(
    "penalty", [{}, {"repetition": 1.3}, {"frequency": 1.0}, {"presence": 2.0}]
)
async def test_the_exact_profile_is_transformers_alone_and_in_a_batch(
    toy: Toy, exact_model: Path, penalty: dict[str, Any]
) -> None:
    draw = replace(GREEDY, **penalty)
    oracle: Any = GPT2LMHeadModel.from_pretrained(toy.run / "model")
    asked, expected = [], []
    for prompt in _prompts():
        ids = torch.tensor([prompt])
        reply = oracle.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            min_new_tokens=1,
            do_sample=False,
            repetition_penalty=draw.repetition,
            logits_processor=LogitsProcessorList([Penalties(len(prompt), draw)]),
            eos_token_id=EOS,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_scores=True,
        )
        margins = [best - second for [[best, second]] in (s.topk(2).values for s in reply.scores)]
        if min(margins) > TIE:
            asked.append(prompt)
            ids = reply.sequences[0, len(prompt) :].tolist()
            expected.append([token for token in ids if token != EOS])
    assert len(asked) >= 8
    async with engine_of(exact_model, Options(exact=True)) as engine:
        jobs = [_job(number, prompt, draw) for number, prompt in enumerate(asked, 1)]
        alone = [await _ids(engine, job) for job in jobs]
        batch = await asyncio.gather(*(_ids(engine, replace(job, id=job.id + 99)) for job in jobs))
    assert [ids for [ids] in alone] == expected
    assert [ids for [ids] in batch] == expected


async def test_a_seed_draws_the_same_alone_in_a_batch_and_for_each_candidate(
    exact_model: Path,
) -> None:
    async with engine_of(exact_model, Options(exact=True)) as engine:
        prompt = _prompts()[3]
        jobs = [
            _job(number, prompt, replace(DRAWN, seed=number), candidates=2)
            for number in range(1, 9)
        ]
        alone = [await _ids(engine, job) for job in jobs]
        again = [replace(job, id=job.id + 100) for job in jobs]
        assert await asyncio.gather(*(_ids(engine, job) for job in again)) == alone
    assert len({tuple(ids) for replies in alone for ids in replies}) > 8


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}])
async def test_a_draw_can_be_narrowed_down_to_the_likeliest(
    exact_model: Path, narrow: dict[str, Any]
) -> None:
    wide = replace(GREEDY, temperature=2.0)
    async with engine_of(exact_model, Options(exact=True)) as engine:
        greedy, drawn, narrowed = [
            [
                await _ids(engine, _job(number, ids, draw))
                for number, ids in enumerate(_prompts(), start)
            ]
            for start, draw in ((1, GREEDY), (101, wide), (201, replace(wide, **narrow)))
        ]
    assert drawn != greedy
    assert sum(map(list.__eq__, narrowed, greedy)) >= len(greedy) - 2  # a tie goes either way


async def test_leaving_a_jobs_events_early_cancels_it(exact_model: Path) -> None:
    reports: list[Stepped] = []
    async with engine_of(exact_model, Options(), reports) as engine:
        endless = replace(
            _job(1, _prompts()[0], DRAWN),
            max_new_tokens=4000,
            flush_seconds=0.0,
            stop_ids=frozenset(),
        )
        async with aclosing(engine.submit(endless)) as stays:
            await anext(stays)
            async with aclosing(engine.submit(replace(endless, id=2))) as goes:
                await anext(goes)
            # the second would outlast the first: only left early it leaves the first alone
            left_alone = False
            async for _ in stays:
                told = [each for each in reports if any(event.id == 1 for event in each.events)]
                left_alone = told[-1].batches[-1] == 1
                if left_alone:
                    break
    assert left_alone


def test_a_version_is_loaded_while_another_answers(
    exact_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = threading.Event()

    class SlowToLoad(Pipeline):
        def __init__(self, path: str, options: Options) -> None:
            if path.endswith("slow"):
                may_load.wait(PATIENCE)
            super().__init__(path.removesuffix("slow"), options)

    monkeypatch.setattr(child, "Pipeline", SlowToLoad)
    ours, theirs = Pipe()
    working = threading.Thread(target=_until_closed, args=(child.Child(theirs, Options()),))
    working.start()
    assert ours.recv() == Ready()
    ours.send(Load(MODEL, str(exact_model)))
    assert ours.recv() == Loaded(MODEL)
    ours.send(Load("toy/2", f"{exact_model}/slow"))
    ours.send(Submit(_job(1, _prompts()[0])))
    report = ours.recv()
    while not report.events[-1].last:
        report = ours.recv()
    may_load.set()
    assert ours.recv() == Loaded("toy/2")
    ours.close()
    working.join(PATIENCE)
    theirs.close()


async def test_after_a_death_the_first_model_answers_while_the_next_still_loads(
    exact_model: Path, tmp_path: Path
) -> None:
    others = engine_pids()
    second = shutil.copytree(exact_model, tmp_path / "second")
    async with engine_of(exact_model, Options()) as engine:
        await engine.load("toy/2", second)
        never_ends = _never_ending(second)
        for pid in engine_pids() - others:
            os.kill(pid, signal.SIGKILL)

        async def answers() -> bool:
            with suppress(EngineDown):
                return bool(await _ids(engine, _job(1, [5, 6])))
            return False

        await until(answers)
        assert not engine.alive
        await asyncio.to_thread(_end, never_ends)  # it does not load after all

        while not engine.alive:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert engine.loaded == {MODEL}


async def test_a_model_over_which_the_child_dies_when_it_loads_again_is_dropped(
    exact_model: Path, tmp_path: Path
) -> None:
    others = engine_pids()

    def kill() -> None:
        for pid in engine_pids() - others:
            os.kill(pid, signal.SIGKILL)

    second = shutil.copytree(exact_model, tmp_path / "second")
    async with engine_of(exact_model, Options()) as engine:
        await engine.load("toy/2", second)
        _never_ending(second)

        async def loads_the_second() -> bool:
            return engine.has(MODEL) and not engine.alive

        kill()
        await until(loads_the_second)
        kill()

        async def alive() -> bool:
            return engine.alive

        await until(alive)
        assert engine.loaded == {MODEL}
        assert await _ids(engine, _job(1, [5, 6]))


def _never_ending(model: Path) -> Path:
    """Make a model one that is loaded without end; returns the file that it waits for."""
    file = model / "openvino_model.xml"
    file.unlink()
    os.mkfifo(file)
    return file


def _end(pipe: Path) -> None:
    with pipe.open("w"):  # who reads it finds it empty, who comes next finds nothing
        pipe.unlink()


def _until_closed(engine: child.Child) -> None:
    with suppress(EOFError):
        engine.run()


async def test_an_impossible_option_ends_the_job_with_a_reason(exact_model: Path) -> None:
    async with engine_of(exact_model, Options()) as engine:
        events = [
            event async for event in engine.submit(_job(1, [5, 6], replace(DRAWN, top_p=7.0)))
        ]
        assert "top_p" in (events[-1].error or "")
        assert await _ids(engine, _job(2, [5, 6]))
        with pytest.raises(EngineDown):
            await _last(engine, replace(_job(3, [5, 6]), model="nobody/1"))


async def test_a_prompt_larger_than_the_cache_ends_with_a_reason_and_the_others_go_on(
    exact_model: Path,
) -> None:
    async with engine_of(exact_model, Options(cache_tokens=4 * BLOCK)) as engine:
        other = asyncio.create_task(_ids(engine, _job(1, _prompts()[0])))
        large = _job(2, [5] * 5 * BLOCK)
        events = [event async for event in engine.submit(large)]
        assert "do not fit into 128 cached tokens" in (events[-1].error or "")
        assert await other


async def test_a_long_prompt_seen_before_is_told_as_cached(exact_model: Path) -> None:
    prompt = [5 + number % 50 for number in range(4 * BLOCK + 1)]
    async with engine_of(exact_model, Options()) as engine:
        assert (await _last(engine, _job(1, prompt))).cached == 0
        assert (await _last(engine, _job(2, prompt))).cached == 4 * BLOCK
        assert (await _last(engine, _job(3, prompt[: BLOCK + 5]))).cached == BLOCK
        assert (await _last(engine, _job(4, [9, *prompt]))).cached == 0
