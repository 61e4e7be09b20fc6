"""Whose words are these? A judge that has learned the persona's words against others'.

Character n-grams and logistic regression: what authorship attribution takes for short texts.
"""

from collections.abc import Sequence
from typing import Any

FEWEST = 50
"""Texts of each side below which a judge has learned nothing."""
MOST = 20_000


class Judge:
    """`share` is the probability, for each text, that the persona wrote it."""

    def __init__(self, persona: Sequence[str], others: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        texts = [*persona[-MOST:], *others[-MOST:]]
        labels = [1] * len(persona[-MOST:]) + [0] * len(others[-MOST:])
        self._model: Any = make_pipeline(
            TfidfVectorizer(
                analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True, lowercase=False
            ),
            LogisticRegression(C=4.0, class_weight="balanced", max_iter=1000),
        )
        self._model.fit(texts, labels)

    def share(self, texts: Sequence[str]) -> list[float]:
        return [float(row[1]) for row in self._model.predict_proba(list(texts))]


def judge(persona: Sequence[str], others: Sequence[str]) -> Judge | None:
    """A judge, or None where there is too little to learn from on either side."""
    return Judge(persona, others) if min(len(persona), len(others)) >= FEWEST else None
