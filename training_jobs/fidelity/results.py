"""evaluation.json: what was measured of a run."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.files import read_model
from training_jobs.fidelity.bootstrap import Estimate
from training_jobs.run_folder import EVALUATION

FIGURES = (
    *("bits_per_character", "context_gain_bits_per_character", "memorised_share"),
    *("attribution_tuned", "attribution_real", "attribution_base", "attribution_others"),
)


class Likelihood(BaseModel):
    """How well a model foretells what the persona really said."""

    model_config = ConfigDict(frozen=True)

    bits_per_character: Estimate
    perplexity: Estimate


class Evaluation(BaseModel):
    """evaluation.json. An absent figure could not be had; `notes` say why."""

    model_config = ConfigDict(frozen=True)

    contexts: int
    tuned: Likelihood
    shuffled: Likelihood
    context_gain: Estimate
    base: Likelihood | None = None
    current: Likelihood | None = None
    current_id: str | None = None
    against_current: Estimate | None = None
    current_context_gain: Estimate | None = None
    attribution: dict[str, Estimate] = {}
    style_distance: dict[str, float] = {}
    profiles: dict[str, dict[str, float]] = {}
    memorised: dict[str, Estimate] = {}
    diversity: dict[str, float] = {}
    cut: float = 0.0
    empty: float = 0.0
    moderated: float = 0.0
    examples: list[dict[str, list[str]]] = []
    notes: list[str] = []

    def lines(self) -> Iterator[str]:
        """The main figures, for a model card."""
        for name in ("base", "current", "tuned", "shuffled"):
            if (each := getattr(self, name)) is not None:
                yield f"bits per character, {name}: {each.bits_per_character}"
        yield f"bits per character gained from the conversation: {self.context_gain}"
        yield from (f"attribution, {name}: {each}" for name, each in self.attribution.items())
        yield from (f"memorised, {name}: {each}" for name, each in self.memorised.items())
        yield from self.notes


def figures(done: Evaluation | None) -> dict[str, float | None]:
    """Those that metrics tell, by their names; None is what was not measured."""
    found: dict[str, Estimate | None] = dict.fromkeys(FIGURES)
    if done is not None:
        found |= {
            "bits_per_character": done.tuned.bits_per_character,
            "context_gain_bits_per_character": done.context_gain,
            "memorised_share": done.memorised.get("tuned"),
            **{f"attribution_{name}": each for name, each in done.attribution.items()},
        }
    return {name: None if each is None else each.value for name, each in found.items()}


def read_evaluation(folder: Path) -> Evaluation | None:
    """None when the run has not been evaluated; raises Refusal for a broken file."""
    path = folder / EVALUATION
    return read_model(path, Evaluation, "is not evaluated yet") if path.is_file() else None
