"""One pipeline, step by step: a reply must not depend on what else is computed or cached."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.generation.engine import Draw, Event, Job, Options, pipeline
from services.generation.engine.pipeline import Pipeline
from services.generation.engine.prefixes import BLOCK, Prefixes

GREEDY = Draw(0.0, 1.0, 0, 1.0, 0.0, 0.0, seed=0)
NEVER = frozenset({4})
"""A stop token that the toy has not learned."""
EXACT = Options(exact=True)


def _job(number: int, ids: Sequence[int]) -> Job:
    return Job(number, "toy/1", list(ids), GREEDY, 1, 24, frozenset({2}))


def _babble(number: int, ids: Sequence[int], new: int) -> Job:
    """A job whose reply is as long as it may be, told token by token."""
    job = replace(_job(number, ids), max_new_tokens=new, stop_ids=NEVER)
    return replace(job, flush_seconds=0.0)


def _text(length: int, first: int) -> list[int]:
    chosen = random.Random(first)
    return [first, *(chosen.randrange(5, 300) for _ in range(length - 1))]


def _steps(engine: Pipeline, jobs: list[Job], count: int) -> list[Event]:
    for job in jobs:
        engine.submit(job)
    return [event for _ in range(count) for event in engine.step()[0]]


def _run(engine: Pipeline, arrivals: Iterable[list[Job]]) -> dict[int, list[int]]:
    """Each list of jobs comes before one step; returns what every job was answered."""
    waiting, replies = list(arrivals), dict[int, list[int]]()
    while waiting or engine.busy:
        for event in _steps(engine, waiting.pop(0) if waiting else [], 1):
            assert event.error is None
            if event.last:
                replies[event.id] = event.generated[0].ids
    return replies


def _alone(path: Path, jobs: list[Job]) -> dict[int, list[int]]:
    engine = Pipeline(str(path), EXACT)
    return {number: ids for job in jobs for number, ids in _run(engine, [[job]]).items()}


def test_two_prompts_that_go_on_where_one_ended_do_not_mix(exact_model: Path) -> None:
    first, longer, longest = [_job(length, range(5, 5 + length)) for length in (4, 12, 16)]
    alone = _alone(exact_model, [first, longer, longest])
    assert _run(Pipeline(str(exact_model), EXACT), [[first], [longest, longer]]) == alone


@pytest.mark.parametrize("seed", range(4))
def test_prompts_that_are_parts_of_each_other_answer_as_alone(exact_model: Path, seed: int) -> None:
    jobs = [_job(length, range(5, 5 + length)) for length in (*range(3, 35), *range(36, 100, 7))]
    alone = _alone(exact_model, jobs)
    chosen = random.Random(seed)
    chosen.shuffle(jobs)
    arrivals = []
    while jobs:
        count = chosen.choice([1, 1, 2, 3, 5, 8, 13])
        arrivals.append(jobs[:count])
        jobs = jobs[count:]
    assert _run(Pipeline(str(exact_model), EXACT), arrivals) == alone


@pytest.mark.parametrize("length", [4, 20, BLOCK - 1, BLOCK + 9])
def test_chats_that_go_on_with_one_conversation_at_once_do_not_mix(
    exact_model: Path, length: int
) -> None:
    first = _job(1, _text(length, 5))
    engine = Pipeline(str(exact_model), EXACT)
    told = [*first.ids, *_run(engine, [[first]])[first.id], *first.stop_ids]
    jobs = [_job(number, [*told, *_text(6, number)]) for number in range(6, 12)]
    assert _run(engine, [jobs]) == _alone(exact_model, jobs)


@pytest.mark.parametrize("steps", range(4))
def test_a_prompt_that_is_cancelled_while_it_is_read_leaves_nothing_behind(
    exact_model: Path, steps: int
) -> None:
    other, long = _babble(1, _text(200, 6), 40), _job(2, _text(200, 5))
    engine = Pipeline(str(exact_model), EXACT)
    _steps(engine, [other, long], steps)  # together they are too long for one step
    engine.cancel(other.id)
    engine.cancel(long.id)
    assert _run(engine, [[long]]) == _alone(exact_model, [long])


def test_a_long_prompt_is_read_in_pieces_and_no_step_leaves_the_others_out(
    exact_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "READ_TOKENS", BLOCK)
    engine = Pipeline(str(exact_model), EXACT)
    other, long = _babble(1, _text(9, 5), 100), _job(2, _text(5 * BLOCK, 6))
    _steps(engine, [other], 1)
    told = _steps(engine, [long], 5)
    assert [len(event.tokens) for event in told if event.id == other.id] == [1] * 5
    assert [event.id for event in told].count(long.id) == 1  # with the fifth piece


def test_jobs_that_the_cache_cannot_hold_together_answer_as_alone(exact_model: Path) -> None:
    jobs = [_babble(number, _text(3 * BLOCK, number), 60) for number in range(5, 13)]
    engine = Pipeline(str(exact_model), replace(EXACT, cache_tokens=8 * BLOCK))
    assert _run(engine, [jobs]) == _alone(exact_model, jobs)


def test_a_cancelled_job_is_out_of_the_batch_at_the_next_step(exact_model: Path) -> None:
    engine = Pipeline(str(exact_model), Options())
    for number in (1, 2, 3):
        engine.submit(_babble(number, _text(9, 4 + number), 100))
    assert [engine.step()[1] for _ in range(3)] == [3, 3, 3]
    engine.cancel(2)
    assert [engine.step()[1] for _ in range(3)] == [2, 2, 2]
    engine.cancel(1)
    engine.cancel(3)
    assert engine.busy  # the caches of the cancelled are freed by a step
    engine.step()
    assert not engine.busy


def test_prefixes_are_forgotten_oldest_first() -> None:
    known = Prefixes(blocks=4)
    old, new = list(range(2 * BLOCK)), list(range(1000, 1000 + 3 * BLOCK))
    known.add(old)
    known.add(new)
    assert known.held([*new, 1]) == 3 * BLOCK
    assert known.held(new) == 2 * BLOCK  # its last token has to be computed
    assert known.held([*old, 1]) == 0
