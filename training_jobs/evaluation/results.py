"""evaluation.json: what was measured of a training run, with intervals by resampling."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from contracts.files import read_model
from training_jobs.run_folder import EVALUATION

ROUNDS, COVERED = 1000, 0.95
FEWEST_HITS = 50


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval that covers 95 % of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def ratio(above: Sequence[float], below: Sequence[float], scale: float = 1.0) -> Estimate:
    """Estimate sum over sum, times `scale`: nats over characters, for example.

    Both have one value a context; the interval is that of contexts drawn with replacement.
    """
    count = len(above)
    resampled = np.random.default_rng(1).integers(0, count, (ROUNDS, count))
    # The same draw for both: the values of one context stay together. The first row is all of them.
    rows = np.vstack([np.arange(count), resampled])
    sums = (np.asarray(each, dtype=np.float64)[rows].sum(-1) for each in (above, below))
    value, *others = scale * next(sums) / np.maximum(next(sums), 1e-9)
    low, high = np.quantile(others, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return Estimate(float(value), float(low), float(high))


def mean(values: Sequence[float]) -> Estimate:
    return ratio(values, [1.0] * len(values))


class Likelihood(BaseModel):
    """How probable a model finds what the persona really said."""

    bits_per_character: Estimate
    perplexity: Estimate


class Hits(BaseModel):
    """Shares of so many contexts whose own answer a model picked out of ten: by its likelihood
    against that after other contexts, and by plain likelihood, which prefers what is said often.
    Files of older versions do not tell how many.
    """

    contexts: int | None = None
    relative: Estimate
    plain: Estimate

    def is_worse_than(self, other: "Hits") -> bool:
        """Whether the intervals are apart, which of fewer contexts chance alone can do."""
        is_told = self.contexts is None or self.contexts >= FEWEST_HITS
        return is_told and self.relative.high < other.relative.low


class Evaluation(BaseModel):
    """All figures are of the held-out part, which is later than everything that `tuned` learned.
    It also chose when training stopped, and between int4 and int8.

    contexts              answers by which it was measured
    tuned                 the fine-tuned model; absent, as all below, where too little is held out
    unseen                the same, on the answers that do not stand word for word in what was
                          learned; absent where none does, or all do
    base                  the base model
    current_id            the version that serves; absent where there is none
    current               that version; absent where it could not be compared
    against_current       bits per character by which `tuned` is better than `current`
    hits                  hits@1 of ten by model: how often it picks the real answer among ten
    relevance             probability that answers belong to what they answer, by group, beside
                          `shuffled` ones, the floor
    relevance_judge       areas under the ROC by which that judge tells real from shuffled answers:
                          of `all`, and of the `short`, `middle` and `long` third
    unknown_words         share of answers with a Russian word that nobody knows, by group
    attribution           probability that the persona wrote it, by group; `others` is the floor
    style_distance        distance of the style from what was learned, by group
    memorised             share of answers that repeat a stretch of what was learned, by group
    diversity             distinct replies, words and pairs of words by all of them
    cut, empty, moderated shares of the replies that did not end, are empty, are masked or blocked
    moderated_by          the latter by category and action, such as `profanity masked`
    examples              contexts with the real answer and the replies, for the report alone
    notes                 why a figure is absent or says little

    The groups are the answers of the fine-tuned model (`tuned`), of the persona (`real`) and of the
    base model (`base`).
    """

    contexts: int
    tuned: Likelihood | None = None
    unseen: Likelihood | None = None
    base: Likelihood | None = None
    current: Likelihood | None = None
    current_id: str | None = None
    against_current: Estimate | None = None
    hits: dict[str, Hits] = {}
    relevance: dict[str, Estimate] = {}
    relevance_judge: dict[str, float] = {}
    unknown_words: dict[str, Estimate] = {}
    attribution: dict[str, Estimate] = {}
    style_distance: dict[str, float] = {}
    memorised: dict[str, Estimate] = {}
    diversity: dict[str, float] = {}
    cut: float = 0.0
    empty: float = 0.0
    moderated: float = 0.0
    moderated_by: dict[str, float] = {}
    examples: list[dict[str, list[str]]] = Field(default=[], exclude=True)
    notes: list[str] = []

    def lines(self) -> Iterator[str]:
        """Yield the main figures, for a model card."""
        for name in ("base", "current", "tuned", "unseen"):
            if (each := getattr(self, name)) is not None:
                yield f"bits per character, {name}: {each.bits_per_character}"
        for name, hits in self.hits.items():
            yield f"hits@1 of ten, {name}: {hits.relative} (by plain likelihood {hits.plain})"
        for figure in ("relevance", "unknown_words", "attribution", "memorised"):
            for name, each in getattr(self, figure).items():
                yield f"{figure.replace('_', ' ')}, {name}: {each}"
        for name, area in self.relevance_judge.items():
            yield f"judge of relevance, area under the ROC, {name}: {area:.2f}"
        yield from (f"replies, {why}: {share:.1%}" for why, share in self.moderated_by.items())
        yield from self.notes


def figures(evaluation: Evaluation | None) -> dict[str, float | None]:
    """Return the figures that are reported as metrics, by name; None for what was not measured."""
    evaluation = evaluation or Evaluation(contexts=0)
    estimates = {
        "bits_per_character": evaluation.tuned and evaluation.tuned.bits_per_character,
        "hits_at_1": evaluation.hits["tuned"].relative if evaluation.hits else None,
        "memorised_share": evaluation.memorised.get("tuned"),
        "unknown_words_share": evaluation.unknown_words.get("tuned"),
    }
    for group in ("tuned", "real", "shuffled"):
        estimates[f"relevance_{group}"] = evaluation.relevance.get(group)
    for group in ("tuned", "real", "base", "others"):
        estimates[f"attribution_{group}"] = evaluation.attribution.get(group)
    return {name: each.value if each else None for name, each in estimates.items()}


def read_evaluation(folder: Path) -> Evaluation | None:
    """Return None when the run has not been evaluated; raises Refusal for a broken file."""
    path = folder / EVALUATION
    return read_model(path, Evaluation, "not evaluated") if path.is_file() else None
