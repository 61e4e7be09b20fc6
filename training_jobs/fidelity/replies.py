"""Replies of a converted model, drawn as serving draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contracts.prompt import PromptFormat, reply_messages
from contracts.sampling import Sampling
from moderation import Action, Policy, check

CACHE_GB = 1


@dataclass(frozen=True)
class Reply:
    """messages may be empty; cut: it did not end by itself."""

    messages: list[str]
    cut: bool


def draw(
    model: Path,
    prompts: Sequence[list[int]],
    sampling: Sampling,
    eos: int,
    decode: Callable[[list[int]], str],
    seed: int = 1,
) -> list[Reply]:
    """A reply to each prompt, all of them batched; the seed is the first one's."""
    import openvino as ov
    import openvino_genai as genai

    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = CACHE_GB
    pipeline = genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", {})
    handles = [
        pipeline.add_request(
            number,
            ov.Tensor(np.array([prompt], dtype=np.int64)),
            _config(genai, sampling, eos, seed + number),
        )
        for number, prompt in enumerate(prompts)
    ]
    while pipeline.has_non_finished_requests():
        pipeline.step()
    return [_reply(handle.read_all()[0], eos, decode, sampling.stop) for handle in handles]


def _config(genai: Any, sampling: Sampling, eos: int, seed: int) -> Any:
    config = genai.GenerationConfig(
        max_new_tokens=sampling.max_new_tokens,
        min_new_tokens=1,
        do_sample=sampling.temperature > 0,
        repetition_penalty=sampling.repetition,
        frequency_penalty=sampling.frequency,
        presence_penalty=sampling.presence,
        rng_seed=seed,
        stop_token_ids={eos},
        eos_token_id=eos,
    )
    if sampling.temperature > 0:
        config.temperature, config.top_p = sampling.temperature, sampling.top_p
        if sampling.top_k:
            config.top_k = sampling.top_k
    return config


def _reply(output: Any, eos: int, decode: Callable[[list[int]], str], stop: Sequence[str]) -> Reply:
    ids = [token for token in output.generated_ids if token != eos]
    whole = decode(ids)
    text = min((whole.partition(each)[0] for each in stop), key=len, default=whole)
    cut = len(ids) == len(output.generated_ids) and text == whole
    return Reply(reply_messages(text, PromptFormat.TURNS_1), cut)


def faults(replies: Sequence[Reply], policy: Policy) -> dict[str, object]:
    verdicts = [check("\n".join(reply.messages), policy).action for reply in replies]
    return {
        "cut": sum(reply.cut for reply in replies) / len(replies),
        "empty": sum(not reply.messages for reply in replies) / len(replies),
        "moderated": sum(action is not Action.NONE for action in verdicts) / len(replies),
    }
