"""The gate before publishing: may this run replace the version that serves?"""

from collections.abc import Iterator

from training_jobs.evaluation.results import Evaluation
from training_jobs.run_folder import Conversion

ALLOWED_DRIFT = 0.01
"""Largest allowed difference between the converted and the trained model's perplexity."""
MEMORISED = 0.1
"""Share by which more replies than real answers may repeat what was learned."""


def objections(
    conversion: Conversion,
    evaluation: Evaluation | None,
    current: str | None,
    forgets_more: bool = False,
) -> Iterator[str]:
    """Yield each reason why it may not replace the version `current`, with its numbers.

    forgets_more  `current` holds somebody who asked to be forgotten and whom this one leaves out:
                  it has to go and is no measure, since it may be better by what it must not know
    """
    if abs(conversion.perplexity_drift or 0.0) > ALLOWED_DRIFT:
        yield (
            f"the converted model's perplexity differs by {conversion.perplexity_drift:+.1%}"
            f" from the trained one's (at most {ALLOWED_DRIFT:.0%})"
        )
    if evaluation is None or evaluation.tuned is None:
        return
    if evaluation.current_id != current:
        yield (
            f"it was compared with {evaluation.current_id or 'nothing'}, and {current or 'nothing'}"
            " serves now; run training_jobs.evaluate again"
        )
    better = None if forgets_more else evaluation.against_current
    if better is not None and better.high < 0:
        yield (
            f"it predicts the held-out part worse than {evaluation.current_id}:"
            f" by {-better.value:.3f} bits per character [{-better.high:.3f}, {-better.low:.3f}]"
        )
    used, before = (evaluation.hits.get(name) for name in ("tuned", "current"))
    if before and used and not forgets_more and used.is_worse_than(before):
        yield (
            f"it picks the real answer among ten less often ({used.relative}) than"
            f" {evaluation.current_id} did ({before.relative})"
        )
    own, real = evaluation.memorised["tuned"], evaluation.memorised["real"]
    if own.low > real.high and own.value > real.value + MEMORISED:
        yield (
            f"{own.value:.0%} of its replies repeat a stretch of what was learned,"
            f" of real answers {real.value:.0%}"
        )


def unjudged(evaluation: Evaluation | None) -> Iterator[str]:
    """Yield a note where the gate had next to nothing to judge by."""
    if evaluation is None:
        yield "not judged: it was not evaluated"
    elif evaluation.tuned is None:
        yield f"not judged: only {evaluation.contexts} held-out answers"
