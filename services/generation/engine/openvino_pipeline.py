"""One OpenVINO GenAI pipeline and its requests. Imported in the engine's child only.

Which prompts a step reads is decided here, because two things make the library's prefix cache
(2026.4) mix up prompts, both seen:

- A partly filled block is given to every prompt that continues where it ends, and two that are
  read in one step write into the same one. So prompts with the same start are read one by one.
- A prompt that is cut to fit into a step or the cache has its last block entered as full, and it
  stays so if the request is cancelled then. So the library never has to cut: long prompts are read
  in pieces ahead, and a request waits until the cache has room for all of its replies.
"""

import itertools
import os
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from services.generation.engine.prefix_cache import BLOCK, Prefixes
from services.generation.engine.protocol import (
    Completion,
    EngineEvent,
    EngineOptions,
    EngineRequest,
)

READ_TOKENS = 512
"""About as many tokens of prompts are read in one step at most; a multiple of BLOCK."""
_FIRST_PIECE_ID = 1 << 62
"""Pieces of prompts are requests to the library too; their ids are far from those of ours."""


@dataclass
class _Sequence:
    """A request on its way through the pipeline.

    cached  tokens of the prompt that were cached when it came
    handle  the library's, None while the prompt has not been read; kept to the end, since
            dropping it would cancel the request silently
    ids     of the only candidate; the library shows several candidates at the end only
    """

    request: EngineRequest
    config: Any
    cached: int
    handle: Any = None
    started_at: float = 0.0
    first_token_at: float = 0.0
    ids: list[int] = field(default_factory=list)

    @property
    def cache_need(self) -> int:
        """The most that it takes of the cache, in tokens, with a part block a candidate."""
        request = self.request
        return len(request.ids) + request.candidates * (request.max_new_tokens + BLOCK)

    def fail(self, reason: str) -> EngineEvent:
        """Return the last event of a request that failed."""
        return EngineEvent(self.request.id, is_last=True, error=reason)


class Pipeline:
    """Batches all requests to one model version, with a prefix cache."""

    def __init__(self, path: str, options: EngineOptions) -> None:
        scheduler = genai.SchedulerConfig()
        blocks = scheduler.num_kv_blocks = -(-options.cache_tokens // BLOCK)
        scheduler.max_num_seqs = options.max_sequences
        scheduler.max_num_batched_tokens = blocks * BLOCK
        scheduler.enable_prefix_caching = True
        threads = options.threads or len(os.sched_getaffinity(0))
        properties: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": True,
            **options.properties,
        }
        self.path = path
        self.cache_usage = 0.0  # used share of the attention cache in the last step
        self._pipeline = genai.ContinuousBatchingPipeline(path, scheduler, "CPU", properties)
        self._sequences: dict[int, _Sequence] = {}  # by their requests' ids, the oldest first
        self._cancelled_tokens = 0  # cache of cancelled requests, which the next step frees
        self._piece: Any = None  # the handle of the last piece
        self._piece_ids = itertools.count(_FIRST_PIECE_ID)
        self._cache_tokens = blocks * BLOCK
        self._prefixes = Prefixes(blocks)

    @property
    def is_busy(self) -> bool:
        """Whether a step is needed. A step also frees the cache of cancelled requests."""
        return bool(self._sequences) or self._pipeline.has_non_finished_requests()

    def submit(self, request: EngineRequest) -> None:
        """Queue a request until its prompt can be read.

        Raises whatever the library says of a bad option, and ValueError where the whole cache
        could not hold the request: the library would end all others with it.
        """
        cached = self._prefixes.cached_tokens(request.ids)
        sequence = _Sequence(request, _config(request), cached)
        if sequence.cache_need > self._cache_tokens:
            raise ValueError(f"prompt and reply do not fit into {self._cache_tokens} cached tokens")
        sequence.config.validate()
        self._sequences[request.id] = sequence

    def cancel(self, request_id: int) -> None:
        sequence = self._sequences.pop(request_id, None)
        if sequence and sequence.handle:
            sequence.handle.cancel()
            self._cancelled_tokens += sequence.cache_need
            self._prefixes.add([*sequence.request.ids, *sequence.ids])

    def fail_all(self, reason: str) -> list[EngineEvent]:
        """Return the last event of every request, with the reason."""
        return [each.fail(reason) for each in self._sequences.values()]

    def _read_prompts(self) -> None:
        """Give the library the prompts that the next step reads: the oldest that fit into it."""
        room, starts = READ_TOKENS, set[tuple[int, ...]]()
        sequences = self._sequences.values()
        used = sum(each.cache_need for each in sequences if each.handle) + self._cancelled_tokens
        for sequence in [each for each in sequences if not each.handle]:
            ids = sequence.request.ids
            start = self._prefixes.shared_start(ids)
            used += sequence.cache_need
            left = len(ids) - self._prefixes.cached_tokens(ids)
            if used > self._cache_tokens:
                return
            if left > room:
                if room == READ_TOKENS:  # it does not fit into any step
                    self._read_ahead(ids[: len(ids) - left + READ_TOKENS])
                return
            if start in starts:
                continue
            room -= left
            starts.add(start)
            sequence.started_at = time.monotonic()
            sequence.handle = self._pipeline.add_request(
                sequence.request.id, _tensor(ids), sequence.config
            )
            self._prefixes.add(ids)

    def _read_ahead(self, ids: list[int]) -> None:
        """Read the beginning of a prompt into the cache."""
        config = genai.GenerationConfig(max_new_tokens=1)
        self._piece = self._pipeline.add_request(next(self._piece_ids), _tensor(ids), config)
        self._prefixes.add(ids)

    def step(self) -> tuple[list[EngineEvent], int]:
        """Compute one token of every running request; returns the events and the batch's size."""
        self._read_prompts()
        self._pipeline.step()
        self._cancelled_tokens = 0
        metrics = self._pipeline.get_metrics()
        self.cache_usage = metrics.cache_usage / 100
        now = time.monotonic()
        running = [each for each in self._sequences.values() if each.handle]
        events = [event for each in running if (event := _read_event(each, now))]
        for event in events:
            if event.is_last:
                ended = self._sequences.pop(event.id)
                self._prefixes.add([*ended.request.ids, *ended.ids])
        return events, metrics.scheduled_requests


def _tensor(ids: list[int]) -> Any:
    return ov.Tensor(np.array([ids], dtype=np.int64))


def _config(request: EngineRequest) -> Any:
    given = request.seed, request.stop_ids, request.max_new_tokens
    options = request.sampling.openvino_options(*given)
    return genai.GenerationConfig(num_return_sequences=request.candidates, **options)


def _read_event(sequence: _Sequence, now: float) -> EngineEvent | None:
    """Return what has to be reported of a request after a step, if anything."""
    request, outputs, new = sequence.request, list[Any](), list[int]()
    while sequence.handle.can_read():
        read = sequence.handle.read()
        outputs = [read[key] for key in sorted(read)]
        if outputs and request.candidates == 1:
            new += outputs[0].generated_ids
    sequence.ids += new
    if request.candidates > 1 or outputs:
        # the step that reads a prompt brings the first token, though of several candidates the
        # library shows nothing before all have ended
        sequence.first_token_at = sequence.first_token_at or now
    if not outputs:
        return _read_failure(sequence)
    completions: tuple[Completion, ...] = ()
    if all(output.finish_reason != genai.GenerationFinishReason.NONE for output in outputs):
        ids = [sequence.ids] if request.candidates == 1 else [o.generated_ids for o in outputs]
        completions = tuple(_completion(request, *each) for each in zip(ids, outputs, strict=True))
    if not completions and not request.stream:
        return None
    return EngineEvent(
        request.id,
        is_last=bool(completions),
        started_at=sequence.started_at,
        first_token_at=sequence.first_token_at,
        at=now,
        tokens=tuple(token for token in new if request.stream and token not in request.stop_ids),
        completions=completions,
        cached=sequence.cached,
    )


def _read_failure(sequence: _Sequence) -> EngineEvent | None:
    """Return the last event of a request that the library has given up, if it has."""
    status = sequence.handle.get_status()
    if status in (genai.GenerationStatus.RUNNING, genai.GenerationStatus.FINISHED):
        return None
    ignored = status == genai.GenerationStatus.IGNORED
    return sequence.fail("the prompt does not fit" if ignored else str(status))


def _completion(request: EngineRequest, ids: list[int], output: Any) -> Completion:
    if ids and ids[-1] in request.stop_ids:
        ids = ids[:-1]
    return Completion(ids, output.finish_reason == genai.GenerationFinishReason.STOP)
