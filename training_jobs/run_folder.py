"""What fine-tuning leaves for publishing: `model/` (weights, tokenizer.json) and run.json."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from contracts.files import file_sha256, read_model, write_model
from contracts.model_version import MODEL_FILES, BotModels, Manifest, read_manifest
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal

if TYPE_CHECKING:  # publishing works without torch
    from training_jobs.base import Base

MODEL, SUMMARY = "model", "run.json"
CONVERTED, CONVERSION = "openvino", "conversion.json"
EVALUATION, REPORT = "evaluation.json", "report.html"


class Run(BaseModel):
    """run.json; `losses` has one value a step, `heldout` (steps done, loss) pairs, `data` counts of
    the data set, `licence` the base's, `notes` what the figures do not say."""

    model_config = ConfigDict(frozen=True)

    bot: str
    base: str
    dataset_sha256: str
    eos: int
    prompt_format: PromptFormat = PromptFormat.TURNS_1
    licence: str = ""
    notes: tuple[str, ...] = ()
    metrics: dict[str, float]
    data: dict[str, int] = {}
    losses: list[float] = []
    heldout: list[tuple[int, float]] = []


def prepare(folder: Path) -> None:
    """Make the folder, and forget the run that it held; raises Refusal when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (SUMMARY, CONVERSION, EVALUATION, REPORT):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / CONVERTED, ignore_errors=True)
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written to ({error.strerror})") from None


def write_run(folder: Path, base: "Base", run: Run) -> None:
    """Write aside and rename, run.json last: a folder with it is whole."""
    aside, target = folder / f".{MODEL}.part", folder / MODEL
    shutil.rmtree(aside, ignore_errors=True)
    try:
        base.model.save_pretrained(aside)
        base.tokenizer.save(str(aside / "tokenizer.json"))
    except Exception as error:  # safetensors and tokenizers have kinds of their own for a full disk
        shutil.rmtree(aside, ignore_errors=True)
        raise Refusal(f"{folder}: cannot write the model ({error})") from None
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    write_model(folder / SUMMARY, run)


def read_run(folder: Path) -> Run:
    """Raises Refusal when there is no finished run in the folder."""
    missing = f"no finished run here ({SUMMARY} is missing); fine-tune first"
    return read_model(folder / SUMMARY, Run, missing)


class Conversion(BaseModel):
    """conversion.json: what the weights became, and by which share the perplexity moved.

    None: there was nothing to measure it by.
    """

    model_config = ConfigDict(frozen=True)

    precision: str
    perplexity_drift: float | None


def write_conversion(folder: Path, aside: Path, done: Conversion) -> None:
    """The converted model takes its place; its description comes last."""
    for name in (CONVERSION, EVALUATION, REPORT):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / CONVERTED, ignore_errors=True)
    aside.rename(folder / CONVERTED)
    write_model(folder / CONVERSION, done)


def read_conversion(folder: Path) -> Conversion:
    """Raises Refusal when the run has not been converted."""
    missing = "is not converted yet; run training_jobs.convert first"
    if not (folder / CONVERTED).is_dir():
        raise Refusal(f"{folder}: {missing}")
    return read_model(folder / CONVERSION, Conversion, missing)


def parts(run_folder: Path) -> list[Path]:
    """What is published: the OpenVINO model, the weights as trained, what was measured.

    A run whose folder of trained weights was left out is published without them. Raises Refusal
    where anything else is missing.
    """
    weights = list((run_folder / MODEL).glob("*.safetensors"))
    wanted = [run_folder / CONVERTED / name for name in MODEL_FILES]
    if (run_folder / MODEL).exists() and not weights:
        wanted.append(run_folder / MODEL / "model.safetensors")
    for path in wanted:
        if not path.is_file():
            raise Refusal(f"{path}: is missing; fine-tune and convert again")
    found = [*(run_folder / CONVERTED).iterdir(), *weights]
    found += [run_folder / name for name in (EVALUATION, REPORT)]
    return sorted(path for path in found if path.is_file())


def served(folder: Path, models: BotModels) -> Manifest | None:
    """The version that serves, if it is the run's."""
    with suppress(Refusal):
        version = models.current_id()
        manifest = read_manifest(models.path(version)) if version else None
        if manifest and all(
            manifest.files.get(path.name) == file_sha256(path) for path in parts(folder)
        ):
            return manifest
    return None
