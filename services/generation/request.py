"""A GenerateRequest checked and made ready for the engine. Pure, but for the tokenizer."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from contracts.prompt import render_prompt
from contracts.sampling import MAX_NEW_TOKENS, Sampling
from contracts.turn import Role, Turn
from protos.generation.v1 import generation_pb2 as pb
from services.generation.config import GenerationConfig
from services.generation.engine import Draw, Job
from services.generation.errors import InvalidArgument
from services.generation.model_store import Bot, Version

MAX_TURNS, MAX_MESSAGES, MAX_CHARACTERS, MAX_KEY = 256, 64, 16_384, 128
MAX_CANDIDATES = 4
FLUSH_SECONDS = 0.05
"""A stream is told of new tokens at most this often."""
SEEDS = 1 << 63
"""The engine takes seeds below this; larger ones are folded."""
_ROLES = {pb.ROLE_PERSONA: Role.PERSONA, pb.ROLE_OTHER: Role.OTHER}


@dataclass(frozen=True)
class Prepared:
    """The engine's job and what is needed to read its answer.

    copies  how often each of the engine's candidates is given
    """

    job: Job
    stop: tuple[str, ...]
    turns_used: int
    copies: int


def check(request: pb.GenerateRequest) -> None:
    """Raise InvalidArgument with the path of the first bad field."""
    if not request.bot:
        raise InvalidArgument("bot", "is required")
    if len(request.chat_key) > MAX_KEY:
        raise InvalidArgument("chat_key", f"at most {MAX_KEY} characters")
    if len(request.version) > MAX_KEY:
        raise InvalidArgument("version", f"at most {MAX_KEY} characters")
    if request.candidates > MAX_CANDIDATES:
        raise InvalidArgument("candidates", f"at most {MAX_CANDIDATES}, given {request.candidates}")
    if not 1 <= len(request.turns) <= MAX_TURNS:
        raise InvalidArgument("turns", f"1 to {MAX_TURNS} turns, given {len(request.turns)}")
    if request.HasField("max_new_tokens") and not 1 <= request.max_new_tokens <= MAX_NEW_TOKENS:
        problem = f"1 to {MAX_NEW_TOKENS}, given {request.max_new_tokens}"
        raise InvalidArgument("max_new_tokens", problem)


def turns_of(request: pb.GenerateRequest) -> list[Turn]:
    """The request's turns; raises InvalidArgument."""
    return [_turn(index, turn) for index, turn in enumerate(request.turns)]


def _turn(index: int, turn: pb.Turn) -> Turn:
    where = f"turns[{index}]"
    if turn.role not in _ROLES:
        raise InvalidArgument(f"{where}.role", "must be ROLE_PERSONA or ROLE_OTHER")
    if not 1 <= len(turn.messages) <= MAX_MESSAGES:
        problem = f"1 to {MAX_MESSAGES} messages, given {len(turn.messages)}"
        raise InvalidArgument(f"{where}.messages", problem)
    if sum(map(len, turn.messages)) > MAX_CHARACTERS:
        raise InvalidArgument(f"{where}.messages", f"at most {MAX_CHARACTERS} characters")
    try:
        return Turn(speaker=turn.speaker, role=_ROLES[turn.role], messages=tuple(turn.messages))
    except ValidationError as error:
        raise _refused(where, error) from None


def _refused(where: str, error: ValidationError) -> InvalidArgument:
    """The first bad value, by its path below `where`."""
    first = error.errors()[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return InvalidArgument(where + path, first["msg"].removeprefix("Value error, "))


def sampling_of(request: pb.GenerateRequest, default: Sampling) -> Sampling:
    """The bot's sampling with the request's overrides; raises InvalidArgument."""
    given: dict[str, Any] = {field.name: value for field, value in request.sampling.ListFields()}
    given["stop"] = tuple(request.sampling.stop) or default.stop
    if request.HasField("max_new_tokens"):
        given["max_new_tokens"] = request.max_new_tokens
    try:
        return Sampling(**{**default.model_dump(), **given})
    except ValidationError as error:
        raise _refused("sampling", error) from None


def job_of(
    turns: Sequence[Turn],
    sampling: Sampling,
    generation: GenerationConfig,
    version: Version,
    job_id: int,
    candidates: int = 1,
    seed: int | None = None,
) -> tuple[Job, int]:
    """Render the prompt and fill in the job; returns how many turns fitted as well."""
    new_tokens = min(sampling.max_new_tokens, version.context // 2)
    budget = min(generation.prompt_tokens, version.context - new_tokens)
    newest = turns[-generation.prompt_turns :]
    prompt = render_prompt(newest, version.manifest.prompt_format, version.words, budget)
    seed = random.getrandbits(32) if seed is None else seed % SEEDS
    draw = Draw(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        repetition=sampling.repetition,
        frequency=sampling.frequency,
        presence=sampling.presence,
        seed=seed,
    )
    stop_ids = frozenset(version.manifest.stop.token_ids)
    job = Job(job_id, version.key, prompt.ids, draw, candidates, new_tokens, stop_ids)
    return job, prompt.turns_used


def prepare(
    request: pb.GenerateRequest, job_id: int, bot: Bot, version: Version, stream: bool
) -> Prepared:
    """The request as a job.

    A greedy draw has one candidate, which is given as often as asked; a single candidate is watched
    while it grows where it is streamed, and token by token where it may end at a stop string.
    """
    turns = turns_of(request)
    sampling = sampling_of(request, bot.sampling)
    candidates = request.candidates or 1
    copies = candidates if sampling.temperature == 0 else 1
    seed = request.seed if request.HasField("seed") else None
    job, turns_used = job_of(
        turns, sampling, bot.generation, version, job_id, candidates // copies, seed
    )
    stop = (*version.manifest.stop.strings, *sampling.stop)
    if job.candidates == 1 and (stream or stop):
        job = replace(job, flush_seconds=0.0 if stop else FLUSH_SECONDS)
    return Prepared(job, stop, turns_used, copies)
