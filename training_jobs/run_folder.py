"""What fine-tuning leaves for publishing: `model/` (weights, tokenizer.json) and run.json."""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.refusal import Refusal
from training_jobs.base import Base

MODEL, SUMMARY = "model", "run.json"


class Run(BaseModel):
    """run.json; `losses` has one value a step, `heldout` (steps done, loss) pairs, `notes` what the
    figures do not say."""

    model_config = ConfigDict(frozen=True)

    bot: str
    base: str
    dataset_sha256: str
    eos: int
    notes: tuple[str, ...] = ()
    metrics: dict[str, float]
    losses: list[float] = []
    heldout: list[tuple[int, float]] = []


def prepare(folder: Path) -> None:
    """Make the folder, and forget the run that it held; raises Refusal when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMMARY).unlink(missing_ok=True)
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written to ({error.strerror})") from None


def write_run(folder: Path, base: Base, run: Run) -> None:
    """Write aside and rename, run.json last: a folder with it is whole."""
    aside, target = folder / f".{MODEL}.part", folder / MODEL
    shutil.rmtree(aside, ignore_errors=True)
    base.model.save_pretrained(aside)
    base.tokenizer.save(str(aside / "tokenizer.json"))
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    summary = folder / f"{SUMMARY}.part"
    summary.write_text(run.model_dump_json(indent=1), encoding="utf-8")
    summary.rename(folder / SUMMARY)


def read_run(folder: Path) -> Run:
    """Raises Refusal when there is no finished run in the folder."""
    try:
        return Run.model_validate_json((folder / SUMMARY).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal(
            f"{folder}: no finished run here ({SUMMARY} is missing); fine-tune first"
        ) from None
    except ValidationError as error:
        raise Refusal(f"{folder / SUMMARY}: {error.errors()[0]['msg']}") from None
