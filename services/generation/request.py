"""From a GenerateRequest to the engine's request: checked, rendered, nothing left to decide.

Pure, but for the tokenizer and the random seed.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from contracts.prompt import render_prompt
from contracts.sampling import MAX_NEW_TOKENS, Sampling
from contracts.turn import Role, Turn
from protos.generation.v1 import generation_pb2 as pb
from services.generation.bot_config import GenerationConfig
from services.generation.engine.protocol import EngineRequest
from services.generation.errors import InvalidArgument
from services.generation.model_store import Bot, Version

MAX_TURNS, MAX_MESSAGES, MAX_CHARACTERS, MAX_KEY = 256, 64, 16_384, 128
MAX_CANDIDATES = 8
SEEDS = 1 << 63
"""The engine takes seeds below this; larger ones are folded."""
_ROLES = {pb.ROLE_PERSONA: Role.PERSONA, pb.ROLE_OTHER: Role.OTHER}
_PROBE = (Turn(speaker="user", role=Role.OTHER, messages=("Привет",)),)
_PROBE_SAMPLING = Sampling(max_new_tokens=4)


@dataclass(frozen=True)
class PreparedRequest:
    """The engine's request and what is needed to read its answer.

    asked   the text of the last turn
    stop    strings at which a reply ends
    copies  how often each of the engine's candidates is returned
    """

    engine: EngineRequest
    asked: str
    stop: tuple[str, ...]
    turns_used: int
    copies: int


def check(request: pb.GenerateRequest, stream: bool) -> None:
    """Raise InvalidArgument with the path of the first wrong field."""
    if not request.bot:
        raise InvalidArgument("bot", "is required")
    _check_range("chat_key", len(request.chat_key), 0, MAX_KEY, " characters")
    _check_range("version", len(request.version), 0, MAX_KEY, " characters")
    if stream:
        _check_range("candidates", request.candidates, 0, 1, " in a stream")
    _check_range("candidates", request.candidates, 0, MAX_CANDIDATES)
    _check_range("turns", len(request.turns), 1, MAX_TURNS, " turns")
    if request.HasField("max_new_tokens"):
        _check_range("max_new_tokens", request.max_new_tokens, 1, MAX_NEW_TOKENS)


def _check_range(field: str, given: int, least: int, most: int, unit: str = "") -> None:
    if not least <= given <= most:
        raise InvalidArgument(field, f"{least} to {most}{unit}, given {given}")


def prepare(
    request: pb.GenerateRequest, bot: Bot, version: Version, stream: bool
) -> PreparedRequest:
    """Turn a request that was checked into the engine's; raises InvalidArgument."""
    turns = [_turn(index, turn) for index, turn in enumerate(request.turns)]
    sampling = _sampling(request, bot.sampling)
    engine, turns_used = build(turns, sampling, bot.generation, version)
    if request.HasField("seed"):
        engine = replace(engine, seed=request.seed % SEEDS)
    candidates = request.candidates or 1
    # without chance all candidates are the same, and one is computed
    copies = candidates if sampling.temperature == 0 else 1
    stop = (*version.manifest.stop.strings, *sampling.stop)
    # a reply that may end at a stop string is watched as it grows
    is_watched = candidates == copies and (stream or bool(stop))
    engine = replace(engine, candidates=candidates // copies, stream=is_watched)
    return PreparedRequest(engine, turns[-1].text, stop, turns_used, copies)


def probe(version: Version) -> EngineRequest:
    """Return a short request like a user's, which a version has to answer before it serves."""
    request, _ = build(_PROBE, _PROBE_SAMPLING, GenerationConfig(), version)
    return request


def build(
    turns: Sequence[Turn], sampling: Sampling, generation: GenerationConfig, version: Version
) -> tuple[EngineRequest, int]:
    """Render the prompt and return a request for one candidate, and how many turns were used."""
    new_tokens = min(sampling.max_new_tokens, version.context // 2)
    budget = min(generation.prompt_tokens, version.context - new_tokens)
    newest = turns[-version.manifest.context_turns :]
    prompt = render_prompt(newest, version.manifest.prompt_format, version.vocabulary, budget)
    request = EngineRequest(
        key=version.key,
        ids=prompt.ids,
        sampling=sampling,
        seed=random.getrandbits(32),
        max_new_tokens=new_tokens,
        stop_ids=frozenset(version.manifest.stop.token_ids),
    )
    return request, prompt.turns_used


def _turn(index: int, turn: pb.Turn) -> Turn:
    path = f"turns[{index}]"
    if turn.role not in _ROLES:
        raise InvalidArgument(f"{path}.role", "must be ROLE_PERSONA or ROLE_OTHER")
    _check_range(f"{path}.messages", len(turn.messages), 1, MAX_MESSAGES, " messages")
    characters = sum(map(len, turn.messages))
    _check_range(f"{path}.messages", characters, 0, MAX_CHARACTERS, " characters")
    try:
        return Turn(speaker=turn.speaker, role=_ROLES[turn.role], messages=tuple(turn.messages))
    except ValidationError as error:
        raise _invalid(path, error) from None


def _sampling(request: pb.GenerateRequest, default: Sampling) -> Sampling:
    """Return the bot's sampling with the request's overrides."""
    given: dict[str, Any] = {field.name: value for field, value in request.sampling.ListFields()}
    given["stop"] = tuple(request.sampling.stop) or default.stop
    if request.HasField("max_new_tokens"):
        given["max_new_tokens"] = request.max_new_tokens
    try:
        return Sampling(**{**default.model_dump(), **given})
    except ValidationError as error:
        raise _invalid("sampling", error) from None


def _invalid(path: str, error: ValidationError) -> InvalidArgument:
    """Name the first wrong value by its path below `path`."""
    first = error.errors()[0]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return InvalidArgument(path + "".join(parts), first["msg"].removeprefix("Value error, "))
