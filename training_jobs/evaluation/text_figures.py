"""Figures of texts: who seems to have written them, how they look, what they repeat."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from contracts.prompt import Encode
from training_jobs.evaluation.contexts import EvaluationData, Messages
from training_jobs.evaluation.results import Estimate, mean

FEWEST, MOST = 50, 20_000
"""Turns of each side that are needed to learn anything of it, and that are used at most."""
STRETCH = 8
"""Tokens in a row that count as a repetition."""
_PATTERNS = {
    "emoji": re.compile(r"[\U0001F000-\U0001FAFF☀-➿❤]"),
    "exclamation": re.compile("!"),
    "question": re.compile(r"\?"),
    "ellipsis": re.compile(r"…|\.\.\."),
    "comma": re.compile(","),
    "bracket smile": re.compile(r"\){1,}|\({2,}"),
    "dash": re.compile(r"[—–]| - "),
}

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


def features(answer: Messages) -> dict[str, float]:
    """Return what an answer looks like: lengths, shares, and 1 for each mark that it has."""
    text = "\n".join(answer)
    letters = [char for char in text if char.isalpha()]
    return {
        "characters": float(len(text)),
        "words": float(len(text.split())),
        "messages": float(len(answer)),
        "lower-case start": float(text[:1].islower()),
        "upper-case share": sum(map(str.isupper, letters)) / len(letters) if letters else 0.0,
        "final full stop": float(text.rstrip().endswith(".")),
        **{name: float(bool(pattern.search(text))) for name, pattern in _PATTERNS.items()},
    }


def style_distance(ours: Sequence[Messages], theirs: Sequence[Messages]) -> float:
    """Return the mean over the features of the Kolmogorov-Smirnov distance: 0 (alike) to 1."""
    from scipy.stats import ks_2samp

    if not ours or not theirs:
        return 1.0
    left, right = _columns(ours), _columns(theirs)
    return float(np.mean([ks_2samp(left[name], right[name]).statistic for name in left]))


def _columns(answers: Sequence[Messages]) -> dict[str, list[float]]:
    rows = [features(answer) for answer in answers]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


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


def diversity(replies: Sequence[Messages], real: Sequence[Messages]) -> dict[str, float]:
    texts, real_texts = (["\n".join(each) for each in group] for group in (replies, real))
    return {
        "replies": len(set(texts)) / len(texts),
        "words": distinct_share(texts, 1),
        "pairs of words": distinct_share(texts, 2),
        "pairs of words, real": distinct_share(real_texts, 2),
    }


def distinct_share(texts: Iterable[str], words: int) -> float:
    """Return distinct runs of so many words over all of them: 1 is never the same twice."""
    runs = [run for text in texts for run in _runs(text.split(), words)]
    return len(set(runs)) / len(runs) if runs else 0.0


def _runs(items: Sequence[Any], length: int) -> list[tuple[Any, ...]]:
    return [tuple(items[i : i + length]) for i in range(len(items) - length + 1)]
