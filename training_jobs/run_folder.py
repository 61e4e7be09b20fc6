"""A run folder, `data/<bot>/run/`: what fine-tuning, conversion and evaluation leave to publish.

progress.json     how far the training has come, for whoever watches it
model/            weights as trained, tokenizer.json
run.json          the training run; a folder with it holds a whole model
openvino/         the converted model
conversion.json   the same for the converted model
evaluation.json   what was measured
report.html       the same for people, with examples; it holds words of the chat: not published
"""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.conversation import CONTEXT_TURNS
from contracts.files import file_sha256, read_model, whole_folder, write_model
from contracts.model_version import MODEL_FILES, BotModels, Manifest, read_manifest
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal

MODEL, SUMMARY = "model", "run.json"
CONVERTED, CONVERSION = "openvino", "conversion.json"
EVALUATION, REPORT = "evaluation.json", "report.html"


class Run(BaseModel):
    """run.json: a finished training run.

    forgets_until  of the data set
    context_turns  most turns before an answer, in the records and so in prompts
    licence        of the base, as its model card declares it
    base_revision  the base's commit on the hub; empty where it is not known
    notes          what the figures do not say
    data           counts of the data set
    losses         one a step
    heldout        pairs of (steps done, held-out loss)
    """

    model_config = ConfigDict(frozen=True)

    bot: str
    base: str
    dataset_sha256: str
    forgets_until: float = 0.0
    eos: int
    prompt_format: PromptFormat = PromptFormat.TURNS_1
    context_turns: int = CONTEXT_TURNS
    licence: str = ""
    base_revision: str = ""
    notes: tuple[str, ...] = ()
    metrics: dict[str, float]
    data: dict[str, int] = {}
    losses: list[float] = []
    heldout: list[tuple[int, float]] = []


class Conversion(BaseModel):
    """conversion.json: the precision of the converted weights, and what it costs.

    perplexity_drift  share by which the perplexity differs from the trained model's; None where
                      nothing was held out to measure it by
    """

    model_config = ConfigDict(frozen=True)

    precision: str
    perplexity_drift: float | None


def prepare(folder: Path) -> None:
    """Make the folder and remove the run that it held; raises Refusal if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SUMMARY).unlink(missing_ok=True)
        discard_conversion(folder)
        shutil.rmtree(folder / CONVERTED, ignore_errors=True)
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written to ({error.strerror})") from None


def discard_conversion(folder: Path) -> None:
    """Remove what describes a conversion that is about to be replaced."""
    for name in (CONVERSION, EVALUATION, REPORT):
        (folder / name).unlink(missing_ok=True)


def write_run(folder: Path, save_model: Callable[[Path], None], run: Run) -> None:
    """Write the model, then run.json."""
    try:
        with whole_folder(folder / MODEL) as output:
            save_model(output)
        write_model(folder / SUMMARY, run)
    except Exception as error:  # safetensors and tokenizers have kinds of their own for a full disk
        raise Refusal(f"{folder}: cannot write the model ({error})") from None


def read_run(folder: Path) -> Run:
    """Raises Refusal where the folder holds no finished run."""
    missing = f"no finished run here ({SUMMARY} is missing); fine-tune first"
    return read_model(folder / SUMMARY, Run, missing)


def read_conversion(folder: Path) -> Conversion:
    """Raises Refusal where the run has not been converted."""
    missing = "is not converted yet; run training_jobs.convert first"
    if not (folder / CONVERTED).is_dir():
        raise Refusal(f"{folder}: {missing}")
    return read_model(folder / CONVERSION, Conversion, missing)


def published_files(folder: Path) -> list[Path]:
    """Return what is published: the converted model, the weights as trained, what was measured.

    A run without its folder of trained weights is published without them; raises Refusal where
    anything else is missing.
    """
    weights = list((folder / MODEL).glob("*.safetensors"))
    wanted = [folder / CONVERTED / name for name in MODEL_FILES]
    if (folder / MODEL).exists() and not weights:
        wanted.append(folder / MODEL / "model.safetensors")
    for path in wanted:
        if not path.is_file():
            raise Refusal(f"{path}: is missing; fine-tune and convert again")
    found = [*(folder / CONVERTED).iterdir(), *weights, folder / EVALUATION]
    return sorted(path for path in found if path.is_file())


def served(folder: Path, models: BotModels) -> Manifest | None:
    """Return the manifest of the version that serves, if it was published from this run."""
    if (version := models.current_id()) is None:
        return None
    with suppress(Refusal):
        manifest, files = read_manifest(models.path(version)), published_files(folder)
        if all(manifest.files.get(path.name) == file_sha256(path) for path in files):
            return manifest
    return None
