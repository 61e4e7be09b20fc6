"""Whether replies answer: a judge tells a real answer to a turn from an answer to another turn.

It learns from the pairs of the train part, and neither draws nor ranks replies. It learns real
answers against others of about their length, so that length tells it nothing.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training_jobs.evaluation.contexts import wording
from training_jobs.evaluation.results import Estimate, mean

FEWEST, MOST = 500, 20_000
"""Pairs that are needed to learn anything, and that are used at most."""
TOPICS, NEAR, FAR = 128, 3, 1000
"""Dimensions of a text's meaning; ranks by length within which answers are exchanged, and within
which those in other words are sought."""
LEAST = 0.6
"""Least area under the ROC of a judge that is to be believed."""

Pair = tuple[str, str]
"""A turn and an answer."""


def relevance(
    answers: dict[str, list[str]], asked: Sequence[str], learned: Sequence[Pair]
) -> tuple[dict[str, Estimate], dict[str, float]]:
    """Return the mean probability that each group's answers belong to the turns `asked`, and the
    areas under the ROC by which the judge tells `real` ones, the ceiling, from `shuffled`, the
    floor: of `all`, and of the thirds by the length of the real answers, in which a judge that
    goes by length would have nothing to go by.

    Nothing where there are too few pairs to learn from.
    """
    if len(learned) < FEWEST or len(asked) <= NEAR:
        return {}, {}
    judge = Judge(learned)
    real = list(zip(asked, answers["real"], strict=True))
    groups = {**answers, "shuffled": [answer for _, answer in exchanged(real, Random(1))]}
    judged = {
        name: judge.probabilities(list(zip(asked, group, strict=True)))
        for name, group in groups.items()
    }
    areas = _areas(judged["real"], judged["shuffled"], [len(answer) for _, answer in real])
    return {name: mean(list(each)) for name, each in judged.items()}, areas


def _areas(
    real: NDArray[np.float64], shuffled: NDArray[np.float64], lengths: Sequence[int]
) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    order = np.argsort(lengths, kind="stable")
    parts = dict(zip(("short", "middle", "long"), np.array_split(order, 3), strict=True))
    return {
        name: float(
            roc_auc_score(
                np.repeat([1, 0], len(places)), np.concatenate([real[places], shuffled[places]])
            )
        )
        for name, places in {"all": order, **parts}.items()
    }


def exchanged(pairs: Sequence[Pair], random: Random) -> list[Pair]:
    """Give each turn the answer to another one, of about the same length and in other words.

    It keeps its own where the next FAR answers are all the same.
    """
    order = sorted(range(len(pairs)), key=lambda place: (len(pairs[place][1]), random.random()))
    words = [wording(answer) for _, answer in pairs]
    found = list(pairs)
    for rank, place in enumerate(order):
        nearest = random.randint(1, NEAR)
        steps = range(nearest, nearest + min(FAR, len(order)))
        others = (order[(rank + step) % len(order)] for step in steps)
        other = next((other for other in others if words[other] != words[place]), place)
        found[place] = pairs[place][0], pairs[other][1]
    return found


class Judge:
    """Latent semantic analysis of character n-grams, and logistic regression on both texts."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        random = Random(1)
        pairs = random.sample(pairs, min(len(pairs), MOST))
        self._ngrams = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=60_000
        )
        counts = self._ngrams.fit_transform([text for pair in pairs for text in pair])
        topics = max(1, min(TOPICS, counts.shape[1] - 1))
        self._topics = TruncatedSVD(topics, random_state=1).fit(counts)
        others = [pair for _ in range(2) for pair in exchanged(pairs, random)]
        labels = np.repeat([1, 0], [len(pairs), len(others)])
        regression = LogisticRegression(class_weight="balanced", max_iter=300)
        self._regression = regression.fit(self._features([*pairs, *others]), labels)

    def probabilities(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._regression.predict_proba(self._features(pairs))[:, 1]
        return found

    def _features(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Return what both texts have in common, n-gram by n-gram and topic by topic."""
        counts = [self._ngrams.transform(texts) for texts in zip(*pairs, strict=True)]
        asked, answer = (_unit(self._topics.transform(each)) for each in counts)
        shared: Any = np.asarray(counts[0].multiply(counts[1]).sum(axis=1))
        alike, apart = asked * answer, np.abs(asked - answer)
        found: NDArray[np.float64] = np.hstack(
            [10 * alike, alike.sum(1, keepdims=True), shared, 3 * apart]
        )
        return found


def _unit(rows: Any) -> Any:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
