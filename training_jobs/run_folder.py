"""What fine-tuning leaves for publishing: `model/` (weights, tokenizer.json) and run.json."""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.refusal import Refusal
from training_jobs.base import Base

MODEL, SUMMARY = "model", "run.json"


class Run(BaseModel):
    """run.json; `losses` has one value a step, `notes` what was changed about the base."""

    model_config = ConfigDict(frozen=True)

    bot: str
    base: str
    dataset_sha256: str
    bos: int
    eos: int
    context: int
    notes: tuple[str, ...] = ()
    metrics: dict[str, float]
    losses: list[float] = []


def write_run(folder: Path, base: Base, run: Run) -> None:
    """Write aside and rename, so that a folder is either whole or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).unlink(missing_ok=True)
    aside, target = folder / f".{MODEL}.part", folder / MODEL
    shutil.rmtree(aside, ignore_errors=True)
    base.model.save_pretrained(aside)
    base.tokenizer.save(str(aside / "tokenizer.json"))
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    (folder / SUMMARY).write_text(run.model_dump_json(indent=1), encoding="utf-8")


def read_run(folder: Path) -> Run:
    """Raises Refusal when there is no finished run in the folder."""
    try:
        return Run.model_validate_json((folder / SUMMARY).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal(f"{folder}: no finished run here ({SUMMARY} is missing)") from None
    except ValidationError as error:
        raise Refusal(f"{folder / SUMMARY}: {error.errors()[0]['msg']}") from None
