"""evaluation.json: what was measured of a run."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.refusal import Refusal
from training_jobs.fidelity.bootstrap import Estimate
from training_jobs.run_folder import EVALUATION


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

    def headline(self) -> dict[str, float]:
        """The main figures by the names of their metrics."""
        found = {
            "bits_per_character": self.tuned.bits_per_character.value,
            "context_gain_bits_per_character": self.context_gain.value,
            **{f"attribution_{name}": each.value for name, each in self.attribution.items()},
        }
        if "tuned" in self.memorised:
            found["memorised_share"] = self.memorised["tuned"].value
        return found

    def lines(self) -> Iterator[str]:
        """The main figures, for a model card."""
        for name in ("base", "current", "tuned", "shuffled"):
            if (each := getattr(self, name)) is not None:
                yield f"bits per character, {name}: {each.bits_per_character}"
        yield f"bits per character gained from the conversation: {self.context_gain}"
        yield from (f"attribution, {name}: {each}" for name, each in self.attribution.items())
        yield from (f"memorised, {name}: {each}" for name, each in self.memorised.items())
        yield from self.notes


def read_evaluation(folder: Path) -> Evaluation | None:
    """None when the run has not been evaluated; raises Refusal for a broken file."""
    try:
        return Evaluation.model_validate_json((folder / EVALUATION).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValidationError as error:
        raise Refusal(f"{folder / EVALUATION}: {error.errors()[0]['msg']}") from None
