"""Figures of texts: who seems to have written them, what they repeat, which words nobody knows."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.prompt import Encode
from training_jobs.evaluation.contexts import EvaluationData, Messages
from training_jobs.evaluation.results import Estimate, mean

FEWEST, MOST = 50, 20_000
"""Turns of each side that are needed to learn anything of it, and that are used at most."""
STRETCH = 8
"""Tokens in a row that count as a repetition."""

Answers = dict[str, list[Messages]]
"""By group."""


def attribute(answers: Answers, data: EvaluationData) -> tuple[dict[str, Estimate], list[str]]:
    """Return each group's mean probability of being the persona's, and what limits that figure.

    A classifier learns the persona's turns against those of others. The group `real` is the
    ceiling; `others`, which is added, is the floor.
    """
    if not data.others:
        return {}, ["no attribution: in a whole chat everybody is the persona"]
    if min(len(data.persona), len(data.others)) < FEWEST:
        return {}, [f"no attribution: fewer than {FEWEST} turns on a side to learn from"]
    classifier = _train_classifier(_first_messages(data.persona), _first_messages(data.others))
    found = {
        name: mean(classifier.predict_proba(_first_messages(group))[:, 1])
        for name, group in {**answers, "others": data.others_heldout}.items()
        if group
    }
    notes = []
    if "others" in found and found["others"].high >= found["real"].low:
        notes.append("attribution says little: real turns of the persona and of others look alike")
    return found, notes


def _first_messages(group: Sequence[Messages]) -> list[str]:
    """Leave out the others: a base does not know where a turn ends, and its length would tell."""
    return [messages[0] if messages else "" for messages in group[-MOST:]]


def _train_classifier(persona: list[str], others: list[str]) -> Any:
    """Character n-grams and logistic regression, usual for the attribution of short texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Case is kept, and up to four characters: endings, marks and smileys tell people apart.
    ngrams = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True, lowercase=False
    )
    # Balanced: a persona that talks less than the others is not less probable for that.
    regression = LogisticRegression(C=4.0, class_weight="balanced", max_iter=1000)
    labels = [1] * len(persona) + [0] * len(others)
    return make_pipeline(ngrams, regression).fit([*persona, *others], labels)


def memorised(groups: Answers, learned: Iterable[str], encode: Encode) -> dict[str, Estimate]:
    """Return the share of each group's answers that repeat a stretch of what was learned."""

    def stretches(text: str) -> set[int]:  # hashes take less memory than what they stand for
        return set(map(hash, _runs(encode(text), STRETCH)))

    known = {stretch for text in learned for stretch in stretches(text)}
    return {
        name: mean([float(not known.isdisjoint(stretches("\n".join(each)))) for each in group])
        for name, group in groups.items()
    }


def unknown_words(
    answers: dict[str, list[str]], asked: Sequence[str], learned: Iterable[str]
) -> dict[str, Estimate]:
    """Return the share of each group's answers with a Russian word that neither a dictionary nor
    what was learned nor the turn that was answered has; nothing where nobody speaks Russian.
    """
    from pymorphy3 import MorphAnalyzer

    known, is_word = {word for text in learned for word in _words(text)}, MorphAnalyzer()

    def has_unknown(answer: str, turn: str) -> float:
        new = _words(answer) - known - _words(turn)
        return float(not all(map(is_word.word_is_known, new)))

    if not known:
        return {}
    return {
        name: mean([has_unknown(*each) for each in zip(group, asked, strict=True)])
        for name, group in answers.items()
    }


def _words(text: str) -> set[str]:
    """Return the Russian words; those of a compound one by one."""
    return set(re.findall(r"[а-яё]{2,}", text.casefold()))


def _runs(items: Sequence[Any], length: int) -> list[tuple[Any, ...]]:
    return [tuple(items[i : i + length]) for i in range(len(items) - length + 1)]
