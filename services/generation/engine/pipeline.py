"""One OpenVINO GenAI pipeline with its jobs. Imported in the engine's child only.

Which prompts are read in which step is decided here, because the library's prefix cache (2026.4)
mixes up what prompts say in two cases, both seen:

- a block that is not full is given to every prompt that goes on where it ends, and two that are
  read in one step write into the same one; so prompts that begin alike are read one by one;
- a prompt that is cut to fit into a step or the cache has its last block entered as full, and it
  stays so if the job is cancelled then; so the library never has to cut: long prompts are read
  ahead in pieces, and a job waits until the cache has room for all of its replies.
"""

import itertools
import os
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from services.generation.engine.prefixes import BLOCK, Prefixes
from services.generation.engine.protocol import Event, Finish, Generated, Job, Options

READ_TOKENS = 512
"""About as many tokens of prompts does one step read at most; a multiple of BLOCK."""
_FIRST_PIECE = 1 << 62
"""Ids of pieces in the library, far from those of jobs."""
_EXACT = {
    "INFERENCE_PRECISION_HINT": "f32",
    "KV_CACHE_PRECISION": "f32",
    "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
}


@dataclass
class _Waiting:
    """A job whose prompt has not been read; `cached` tokens of it were held when it came."""

    job: Job
    config: Any
    cached: int


@dataclass
class _Running:
    """A job under way. The handle is kept: dropping it would cancel the job silently.

    told     how many of the ids have been told
    told_at  when
    """

    job: Job
    handle: Any
    cached: int
    started_at: float
    ids: list[int] = field(default_factory=list)
    told: int = 0
    told_at: float = 0.0

    def due(self, now: float) -> bool:
        """Whether there are tokens that have to be told now."""
        if self.job.candidates > 1 or self.told == len(self.ids):
            return False
        if self.told == 0:
            return True
        wait = self.job.flush_seconds
        return wait is not None and now - self.told_at >= wait


class Pipeline:
    """Batches all jobs of one model version, with a prefix cache."""

    def __init__(self, path: str, options: Options) -> None:
        scheduler = genai.SchedulerConfig()
        blocks = scheduler.num_kv_blocks = -(-options.cache_tokens // BLOCK)
        scheduler.max_num_seqs = options.max_sequences
        scheduler.max_num_batched_tokens = blocks * BLOCK
        scheduler.enable_prefix_caching = True
        threads = options.threads or len(os.sched_getaffinity(0))
        properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": True,
            **(_EXACT if options.exact else {}),
        }
        self.path = path
        self._pipeline = genai.ContinuousBatchingPipeline(path, scheduler, "CPU", properties)
        self._waiting: deque[_Waiting] = deque()
        self._running: dict[int, _Running] = {}
        self._leaving = 0  # cache tokens of cancelled jobs, which the next step frees
        self._piece: Any = None  # its handle
        self._piece_ids = itertools.count(_FIRST_PIECE)
        self._cache_tokens = blocks * BLOCK
        self._prefixes = Prefixes(blocks)
        self._cache_usage = 0.0

    @property
    def busy(self) -> bool:
        """Whether a step is wanted: also for a cancelled job, whose cache is freed by the next."""
        jobs = bool(self._waiting or self._running)
        return jobs or self._pipeline.has_non_finished_requests()

    @property
    def cache_usage(self) -> float:
        """Used part of the attention cache at the last step, 0 to 1."""
        return self._cache_usage

    def submit(self, job: Job) -> None:
        """Let a job wait for its prompt to be read.

        Raises whatever the pipeline says of a configuration it does not take, and ValueError for a
        job that the whole cache could not hold: the library would give up all others with it.
        """
        if _cache_tokens(job) > self._cache_tokens:
            raise ValueError(f"prompt and reply do not fit into {self._cache_tokens} cached tokens")
        config = _config(job)
        config.validate()
        self._waiting.append(_Waiting(job, config, self._prefixes.held(job.ids)))

    def cancel(self, job_id: int) -> None:
        self._waiting = deque(each for each in self._waiting if each.job.id != job_id)
        if running := self._running.pop(job_id, None):
            running.handle.cancel()
            self._leaving += _cache_tokens(running.job)
            self._prefixes.add([*running.job.ids, *running.ids])

    def failed(self, reason: str) -> list[Event]:
        """End every job for that reason."""
        now = time.monotonic()
        ids = [*self._running, *(each.job.id for each in self._waiting)]
        return [Event(job_id, now, now, error=reason) for job_id in ids]

    def _read_prompts(self) -> None:
        """Give the library the prompts that this step reads: the oldest that fit into it."""
        room, openings = READ_TOKENS, set[tuple[int, ...]]()
        taken = sum(_cache_tokens(each.job) for each in self._running.values()) + self._leaving
        for waiting in list(self._waiting):
            job, opening = waiting.job, self._prefixes.opening(waiting.job.ids)
            taken += _cache_tokens(job)
            left = len(job.ids) - self._prefixes.held(job.ids)
            if taken > self._cache_tokens:
                return
            if left > room:
                if room == READ_TOKENS:
                    self._read_ahead(job.ids[: len(job.ids) - left + READ_TOKENS])
                return
            if opening in openings:
                continue
            room -= left
            openings.add(opening)
            handle = self._pipeline.add_request(job.id, _tensor(job.ids), waiting.config)
            self._waiting.remove(waiting)
            self._running[job.id] = _Running(job, handle, waiting.cached, time.monotonic())
            self._prefixes.add(job.ids)

    def _read_ahead(self, ids: list[int]) -> None:
        """Read the beginning of a prompt into the cache."""
        config = genai.GenerationConfig(max_new_tokens=1)
        self._piece = self._pipeline.add_request(next(self._piece_ids), _tensor(ids), config)
        self._prefixes.add(ids)

    def step(self) -> tuple[list[Event], int]:
        """One step for every job under way; returns what is to be told, and the batch's size."""
        self._read_prompts()
        self._pipeline.step()
        self._leaving = 0
        metrics = self._pipeline.get_metrics()
        self._cache_usage = metrics.cache_usage / 100
        now = time.monotonic()
        events = [event for job in list(self._running.values()) if (event := self._read(job, now))]
        for event in events:
            if event.last:
                ended = self._running.pop(event.id)
                self._prefixes.add([*ended.job.ids, *ended.ids])
        return events, metrics.scheduled_requests

    def _read(self, running: _Running, now: float) -> Event | None:
        """What is to be told of a job: tokens of its only candidate, or, at the end, everything."""
        job = running.job
        outputs: list[Any] = []
        while running.handle.can_read():
            read = running.handle.read()
            outputs = [read[key] for key in sorted(read)]
            if outputs and job.candidates == 1:
                running.ids += outputs[0].generated_ids
        if not outputs:
            return _silent(running, now)
        done: tuple[Generated, ...] = ()
        if all(output.finish_reason != genai.GenerationFinishReason.NONE for output in outputs):
            ids = [running.ids] if job.candidates == 1 else [each.generated_ids for each in outputs]
            done = tuple(_generated(job, *pair) for pair in zip(ids, outputs, strict=True))
        if not done and not running.due(now):
            return None
        new = tuple(token for token in running.ids[running.told :] if token not in job.stop_ids)
        running.told, running.told_at = len(running.ids), now
        return Event(job.id, running.started_at, now, new, done, running.cached)


def _cache_tokens(job: Job) -> int:
    """What a job can take of the cache, with a block that is not full for each candidate."""
    return len(job.ids) + job.candidates * (job.max_new_tokens + BLOCK)


def _tensor(ids: list[int]) -> Any:
    return ov.Tensor(np.array([ids], dtype=np.int64))


def _config(job: Job) -> Any:
    draw = job.draw
    config = genai.GenerationConfig(
        max_new_tokens=job.max_new_tokens,
        min_new_tokens=1,  # nobody says nothing: a reply does not end where it begins
        num_return_sequences=job.candidates,
        do_sample=draw.temperature > 0,
        repetition_penalty=draw.repetition,
        frequency_penalty=draw.frequency,
        presence_penalty=draw.presence,
        rng_seed=draw.seed,
        stop_token_ids=set(job.stop_ids),
    )
    if job.stop_ids:
        config.eos_token_id = min(job.stop_ids)  # what min_new_tokens holds back
    if draw.temperature > 0:
        config.temperature, config.top_p = draw.temperature, draw.top_p
        if draw.top_k:
            config.top_k = draw.top_k
    return config


def _silent(running: _Running, now: float) -> Event | None:
    """Nothing to read: the job waits or is computed, unless the pipeline has given it up."""
    status = running.handle.get_status()
    if status in (genai.GenerationStatus.RUNNING, genai.GenerationStatus.FINISHED):
        return None
    why = "the prompt does not fit" if status == genai.GenerationStatus.IGNORED else str(status)
    return Event(running.job.id, running.started_at, now, error=why)


def _generated(job: Job, ids: list[int], output: Any) -> Generated:
    stopped = output.finish_reason == genai.GenerationFinishReason.STOP
    if ids and ids[-1] in job.stop_ids:
        ids = ids[:-1]
    return Generated(ids, Finish.STOP if stopped else Finish.LENGTH)
