"""The messages between the gRPC process and the engine's child, and how they travel.

A message is a plain value, pickled, after its length in SIZE_BYTES bytes. Times are seconds of the
system's monotonic clock, which both processes share. A version's key is its bot and its id.
"""

import pickle
import socket
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.sampling import Sampling

SIZE_BYTES = 4
BEAT_SECONDS = 1.0
"""The child reports at least this often, unless a step takes longer."""
VersionKey = tuple[str, str]


@dataclass(frozen=True)
class EngineOptions:
    """How pipelines are built.

    cache_tokens   size of each version's attention cache, in tokens of prompts and replies
    max_sequences  replies that a version computes at once
    threads        0 is all cores that the process may use
    properties     further properties of OpenVINO, by their names there
    """

    cache_tokens: int = 16_384
    max_sequences: int = 32
    threads: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EngineRequest:
    """Ask a version for `candidates` replies to the prompt `ids`.

    max_new_tokens  overrules the one in `sampling`: the version's context may be shorter
    stream          report the tokens of the only candidate as they come, and not at the end alone
    id              set by the engine, as in Ping and Load; events of the answer bear it
    """

    key: VersionKey
    ids: list[int]
    sampling: Sampling
    seed: int
    max_new_tokens: int
    stop_ids: frozenset[int]
    candidates: int = 1
    stream: bool = False
    id: int = 0


@dataclass(frozen=True)
class Ping:
    """Answered as soon as the child can work."""

    id: int = 0


@dataclass(frozen=True)
class Load:
    key: VersionKey
    path: str
    id: int = 0


@dataclass(frozen=True)
class Unload:
    key: VersionKey


@dataclass(frozen=True)
class Cancel:
    id: int


Question = Ping | Load | EngineRequest
Command = Question | Unload | Cancel


@dataclass(frozen=True)
class Completion:
    """One candidate: all its ids without the stop token, and whether a stop token ended it."""

    ids: list[int]
    stopped: bool


@dataclass(frozen=True)
class EngineEvent:
    """News of the question with that id; of a request the times and the tokens.

    is_last         no more events follow
    error           what went wrong, on the last event
    started_at      when the engine began to read the prompt
    first_token_at  when every candidate had its first token
    tokens          new ids, of a request with `stream`
    completions     all candidates in order, on the last event
    cached          tokens of the prompt that the prefix cache held, estimated
    """

    id: int
    is_last: bool
    error: str | None = None
    started_at: float = 0.0
    first_token_at: float = 0.0
    at: float = 0.0
    tokens: tuple[int, ...] = ()
    completions: tuple[Completion, ...] = ()
    cached: int = 0


Events = AsyncGenerator[EngineEvent, None]


@dataclass(frozen=True)
class Report:
    """What the child sends: events, and how its steps went; a heartbeat has nothing to say.

    batches      how many requests each step of the version since its last report worked on
    cache_usage  used share of the version's attention cache, 0 to 1
    """

    events: list[EngineEvent]
    key: VersionKey = ("", "")
    batches: list[int] = field(default_factory=list)
    cache_usage: float = 0.0


def encode(message: object) -> bytes:
    data = pickle.dumps(message)
    return len(data).to_bytes(SIZE_BYTES) + data


def receive(connection: socket.socket) -> Any:
    """Wait for a message; raises EOFError at the connection's end."""
    size = int.from_bytes(connection.recv(SIZE_BYTES, socket.MSG_WAITALL))
    data = connection.recv(size, socket.MSG_WAITALL)
    return pickle.loads(data)  # noqa: S301 (both ends are ours)
