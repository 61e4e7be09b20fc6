"""Replies of a converted model, generated as serving generates them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai

from contracts.answer_words import ANSWER_WORDS, AnswerWords
from contracts.prompt import PromptFormat, render_prompt, reply_messages
from contracts.sampling import CANDIDATES, Sampling
from training_jobs.evaluation.contexts import BUDGET, Context
from training_jobs.language_model import LanguageModel

CACHE_GB, FIRST_SEED = 1, 1


@dataclass(frozen=True)
class Reply:
    """messages may be empty; is_cut: it did not end by itself."""

    messages: list[str]
    is_cut: bool


def generate_replies(
    converted: Path, model: LanguageModel, contexts: Sequence[Context], sampling: Sampling
) -> list[Reply]:
    """Return what would be sent to each context, all of them generated in one batch.

    converted  folder of the OpenVINO model; where it has a file to rank by, several candidates are
               drawn
    model      what it was converted from, which knows the tokenizer and the context's length
    """
    ranking = converted / ANSWER_WORDS
    words = AnswerWords.read(ranking) if ranking.exists() else None
    longest = min(sampling.max_new_tokens, model.context_length // 2)
    budget = min(BUDGET, model.context_length - longest)
    vocabulary = model.vocabulary
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = CACHE_GB
    pipeline = genai.ContinuousBatchingPipeline(str(converted), scheduler, "CPU", {})
    prompts, configs = [], []
    for seed, context in enumerate(contexts, FIRST_SEED):
        prompt = render_prompt(context.turns, PromptFormat.TURNS_1, vocabulary, budget)
        prompts.append(ov.Tensor(np.array([prompt.ids], dtype=np.int64)))
        options = sampling.openvino_options(seed, {vocabulary.eos}, longest)
        drawn = CANDIDATES if words and sampling.temperature > 0 else 1
        configs.append(genai.GenerationConfig(**options, num_return_sequences=drawn))
    found = pipeline.generate(prompts, configs)
    return [
        _first([_reply(ids, model, sampling.stop) for ids in each.m_generation_ids], words, context)
        for each, context in zip(found, contexts, strict=True)
    ]


def _first(drawn: Sequence[Reply], words: AnswerWords | None, context: Context) -> Reply:
    texts = ["\n".join(reply.messages) for reply in drawn]
    return drawn[words.order(context.turns[-1].text, texts)[0] if words else 0]


def _reply(generated: Sequence[int], model: LanguageModel, stop: Sequence[str]) -> Reply:
    ids = [token for token in generated if token != model.vocabulary.eos]
    whole = str(model.tokenizer.decode(ids))
    text = min((whole.partition(each)[0] for each in stop), key=len, default=whole)
    is_cut = len(ids) == len(generated) and text == whole  # neither eos nor a stop string
    return Reply(reply_messages(text, PromptFormat.TURNS_1), is_cut)
