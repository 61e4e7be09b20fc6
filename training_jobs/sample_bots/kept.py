"""A sample bot that is kept ready: what it was made from, how it is kept, how it is published.

`training_jobs/sample_bots/<bot>/` is a run folder without the trained weights, with `inputs.json`
beside it. It is published as any run is.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from contracts.bot_file import BotFile
from contracts.files import file_sha256, read_model, whole_folder, write_model
from contracts.model_version import BotModels, is_whole, read_manifest
from contracts.refusal import Refusal
from training_jobs.evaluation.results import read_evaluation
from training_jobs.publish import MODEL_CARD, model_card, publish
from training_jobs.run_folder import (
    CONVERSION,
    CONVERTED,
    EVALUATION,
    SUMMARY,
    read_conversion,
    read_run,
    served,
)

FOLDER = Path(__file__).parent
BASE = tuple(
    FOLDER.parent / "demo_base" / name
    for name in ("config.json", "model.safetensors", "tokenizer.json")
)
INPUTS = "inputs.json"
NOTE = "kept ready to serve, without the full-precision weights that training could go on from"
"""A published version with this note was not trained here."""

ABOUT = (
    "Kept ready to serve, so that `make demo` answers without training first. Its chat is invented"
    " (`extraction_jobs/sample_chats`), and it knows no more of the world than its small base"
    " (`training_jobs/demo_base`): it is for trying the system out. `make sample-bots` made this"
    " folder, this page too; `make models TRAIN=1` trains the bot again on your machine."
)
HASHED = (
    "SHA-256 of the sample chat's export, of the base's configuration, weights and tokenizer, and"
    " of the sections `extraction` and `training` of `bot.yaml`."
)


class Inputs(BaseModel):
    """inputs.json: SHA-256 of what a bot is made from.

    export    the sample chat's result.json
    base      the demo base's configuration, weights and tokenizer
    settings  the sections `extraction` and `training` of its bot.yaml
    """

    model_config = ConfigDict(frozen=True)

    export: str
    base: str
    settings: str

    @classmethod
    def of(cls, bot: BotFile, export: Path) -> "Inputs":
        """Hash the inputs as they are now; raises Refusal where one cannot be read."""
        sections = (bot.sections[key] for key in ("extraction", "training"))
        try:
            return cls(
                export=file_sha256(export),
                base=_sha256(file_sha256(path) for path in BASE),
                settings=_sha256(map(_as_json, sections)),
            )
        except OSError as error:
            raise Refusal(f"{error.filename}: cannot be read ({error.strerror})") from None

    def differing(self, other: "Inputs") -> list[str]:
        """Return the names of the inputs that are not the same."""
        return [name for name, value in self if value != getattr(other, name)]


def _as_json(section: object) -> str:
    return json.dumps(section, ensure_ascii=False, separators=(",", ":"), default=str)


def _sha256(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def read_inputs(folder: Path) -> Inputs:
    missing = f"does not say what it was made from ({INPUTS}); make sample-bots makes it anew"
    return read_model(folder / INPUTS, Inputs, missing)


def keep(run_folder: Path, inputs: Inputs, folder: Path) -> None:
    """Replace what is kept in `folder` by the parts of a finished run that serve."""
    run, conversion = read_run(run_folder), read_conversion(run_folder)
    run = run.model_copy(update={"notes": (*run.notes, NOTE)})
    evaluation, now = read_evaluation(run_folder), datetime.now(UTC)
    with whole_folder(folder) as kept:
        shutil.copytree(run_folder / CONVERTED, kept / CONVERTED)
        for name in (CONVERSION, EVALUATION):
            shutil.copyfile(run_folder / name, kept / name)
        write_model(kept / SUMMARY, run)
        write_model(kept / INPUTS, inputs)
        card = model_card(run, conversion, evaluation, list(run.notes), now)
        title, _, figures = card.partition("\n\n")
        hashes = "".join(f"- {name}: `{value}`\n" for name, value in inputs)
        card = f"{title}\n\n{ABOUT}\n\n{figures}\n## Made from\n{hashes}\n{HASHED}\n"
        (kept / MODEL_CARD).write_text(card, encoding="utf-8")


def publish_kept(bot: str, folder: Path, models: BotModels) -> tuple[str, bool]:
    """Publish the kept bot, unless a version that was trained here serves.

    Returns the id of the version that serves, and whether it is the kept one. Raises Refusal where
    the current version cannot be read or the kept one cannot be published.
    """
    current = models.current_id()
    if current is not None:
        if NOTE not in read_manifest(models.path(current)).notes:
            return current, False
        if served(folder, models) is not None and is_whole(models.path(current)):
            return current, True
    return publish(bot, folder, models, compared=False).id, True
