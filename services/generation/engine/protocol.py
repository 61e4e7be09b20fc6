"""What the gRPC process and the engine's child say to each other. Plain picklable values.

Times are seconds of the system's monotonic clock, which both processes share.
"""

from dataclasses import dataclass, replace
from enum import Enum


@dataclass(frozen=True)
class Options:
    """How pipelines are made.

    cache_tokens   of prompts and replies, kept for each model
    max_sequences  replies that are computed at once, a model
    threads        0 is all cores that the process may use
    exact          fp32 arithmetic everywhere and no quantised caches: a batch equals each alone
    """

    cache_tokens: int = 16_384
    max_sequences: int = 32
    threads: int = 0
    exact: bool = False


class Finish(Enum):
    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True)
class Draw:
    """How tokens are drawn; temperature 0 is greedy, top_k 0 is off."""

    temperature: float
    top_p: float
    top_k: int
    repetition: float
    frequency: float
    presence: float
    seed: int


@dataclass(frozen=True)
class Job:
    """One request: `candidates` replies of at most `max_new_tokens` to the prompt `ids`.

    flush_seconds  how long new tokens may be kept before they are told; None tells the first ones,
                   for the clock, and the end
    """

    id: int
    model: str
    ids: list[int]
    draw: Draw
    candidates: int
    max_new_tokens: int
    stop_ids: frozenset[int]
    flush_seconds: float | None = None

    def limited(self, max_new_tokens: int) -> "Job":
        """The same job with a shorter reply."""
        return replace(self, max_new_tokens=min(self.max_new_tokens, max_new_tokens))


@dataclass(frozen=True)
class Load:
    model: str
    path: str


@dataclass(frozen=True)
class Unload:
    model: str


@dataclass(frozen=True)
class Submit:
    job: Job


@dataclass(frozen=True)
class Cancel:
    id: int


Command = Load | Unload | Submit | Cancel


@dataclass(frozen=True)
class Ready:
    """The child has imported what it needs."""


@dataclass(frozen=True)
class Loaded:
    model: str
    error: str | None = None


@dataclass(frozen=True)
class Generated:
    """One candidate's whole ids, the stop token left out."""

    ids: list[int]
    finish: Finish


@dataclass(frozen=True)
class Event:
    """News of one job.

    tokens     new ids of the only candidate (jobs of several candidates have none before the end)
    generated  all candidates in order, on the last event
    cached     tokens of the prompt that the prefix cache held, estimated
    error      why the job failed, on the last event
    """

    id: int
    started_at: float
    at: float
    tokens: tuple[int, ...] = ()
    generated: tuple[Generated, ...] = ()
    cached: int = 0
    error: str | None = None

    @property
    def last(self) -> bool:
        return bool(self.generated) or self.error is not None


@dataclass(frozen=True)
class Stepped:
    """What the child sends when there is something to tell.

    batches      how many requests each step since the last report worked on
    cache_usage  used part of the model's attention cache, 0 to 1
    """

    model: str
    events: list[Event]
    batches: list[int]
    cache_usage: float


Report = Ready | Loaded | Stepped
