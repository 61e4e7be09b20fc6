"""hits@1 of ten: how often a model picks what the persona really answered among ten answers.

An answer that is said often is likely after everything, so that plain likelihood prefers it: each
likelihood is taken against the answer's mean over all contexts of its group. Chance is a tenth.
"""

from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from contracts.prompt import PromptFormat, render
from training_jobs.evaluation.answer_likelihoods import answer_likelihoods
from training_jobs.evaluation.contexts import BUDGET, Context, wording
from training_jobs.evaluation.results import Hits, mean
from training_jobs.language_model import LanguageModel

GROUP, CONTEXT_TURNS = 10, 2
"""Answers to pick from, and the turns before them that are read."""
Group = list[Context]


def group_contexts(contexts: Sequence[Context], seed: int = 1) -> list[Group]:
    """Shuffle the contexts and return groups of ten whose answers all differ; a rest is left out.

    Case and punctuation are no difference.
    """
    shuffled = list(contexts)
    Random(seed).shuffle(shuffled)
    groups: list[dict[str, Context]] = []
    for context in shuffled:
        words = wording(context.answer.text)
        open_groups = (group for group in groups if len(group) < GROUP and words not in group)
        if (group := next(open_groups, None)) is None:
            groups.append(group := {})
        group[words] = Context(context.turns[-CONTEXT_TURNS:], context.answer)
    return [list(group.values()) for group in groups if len(group) == GROUP]


def picks(likelihoods: NDArray[np.float64]) -> list[bool]:
    """Say for each context (row) whether its own answer (same column) is the likeliest; ties are
    not.
    """
    own = likelihoods.diagonal()
    return [bool(value) for value in (likelihoods >= own[:, None]).sum(1) == 1]


def relative(likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms less that of each answer's mean likelihood over the contexts."""
    means: NDArray[np.float64] = np.logaddexp.reduce(likelihoods, axis=0) - np.log(len(likelihoods))
    return likelihoods - means


def hits_at_1(model: LanguageModel, groups: Sequence[Group]) -> Hits | None:
    """Return None where there is no group to pick from."""
    found = [likelihoods(model, group) for group in groups]
    right = [picks(relative(each)) for each in found], [picks(each) for each in found]
    estimates = (mean([pick for group in each for pick in group]) for each in right)
    if not groups:
        return None
    return Hits(contexts=GROUP * len(groups), relative=next(estimates), plain=next(estimates))


def likelihoods(model: LanguageModel, group: Group) -> NDArray[np.float64]:
    """Return the log-likelihood of each answer (column) after the turns of each context (row)."""
    words, budget = model.vocabulary, min(BUDGET, model.context_length)
    answers = [render((each.answer,), PromptFormat.TURNS_1, words, budget) for each in group]
    left = budget - max(len(answer.ids) for answer in answers)
    contexts = [render(each.turns, PromptFormat.TURNS_1, words, left).ids for each in group]
    return answer_likelihoods(model.model, contexts, answers)
