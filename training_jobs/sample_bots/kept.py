"""A sample bot that is kept ready: what it was made from, how it is kept, how it is published.

`training_jobs/sample_bots/<bot>/` is a run folder without the trained weights, with `inputs.json`
beside it. It is published as any run is.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.bot_file import BotFile
from contracts.files import file_sha256
from contracts.model_version import BotModels, ModelVersionError, read_manifest, verify
from contracts.refusal import Refusal
from training_jobs.fidelity.results import read_evaluation
from training_jobs.publish import MODEL_CARD, model_card, now, publish
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
"""By this note a published version is known as one that nobody trained here."""

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


class _Section(BaseModel):
    """A section of a bot file as it was written."""

    model_config = ConfigDict(extra="allow")


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
    def found(cls, bot: BotFile, export: Path) -> "Inputs":
        """Of the inputs as they are now; raises Refusal when one cannot be read."""
        sections = (bot.section(key, _Section) for key in ("extraction", "training"))
        try:
            return cls(
                export=file_sha256(export),
                base=_sha256(file_sha256(path) for path in BASE),
                settings=_sha256(section.model_dump_json() for section in sections),
            )
        except OSError as error:
            raise Refusal(f"{error.filename}: cannot be read ({error.strerror})") from None

    def differing(self, other: "Inputs") -> list[str]:
        """Names of the inputs that are not the same."""
        return [name for name, value in self if value != getattr(other, name)]


def _sha256(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def read_inputs(folder: Path) -> Inputs:
    """Raises Refusal when the file is missing or broken."""
    try:
        return Inputs.model_validate_json((folder / INPUTS).read_bytes())
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not what is written there"
        raise Refusal(
            f"{folder / INPUTS}: cannot be read ({reason}); make sample-bots makes it anew"
        ) from None


def keep(run_folder: Path, inputs: Inputs, folder: Path) -> None:
    """Replace what is kept in `folder` by what serves of a finished run."""
    run, conversion = read_run(run_folder), read_conversion(run_folder)
    run = run.model_copy(update={"notes": (*run.notes, NOTE)})
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(run_folder / CONVERTED, aside / CONVERTED)
    for name in (CONVERSION, EVALUATION):
        shutil.copyfile(run_folder / name, aside / name)
    (aside / SUMMARY).write_text(run.model_dump_json(indent=1), encoding="utf-8")
    (aside / INPUTS).write_text(inputs.model_dump_json(indent=1) + "\n", encoding="utf-8")
    title, _, figures = model_card(
        run, conversion, read_evaluation(run_folder), run.notes, now()
    ).partition("\n\n")
    hashes = "".join(f"- {name}: `{value}`\n" for name, value in inputs)
    card = f"{title}\n\n{ABOUT}\n\n{figures}\n## Made from\n{hashes}\n{HASHED}\n"
    (aside / MODEL_CARD).write_text(card, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


def publish_kept(bot: str, folder: Path, models: BotModels) -> tuple[str, bool]:
    """Let the kept bot serve, unless a version serves that was trained here.

    Returns the id of the version that serves, and whether it is the kept one. Raises Refusal where
    what serves cannot be told or the kept one cannot be published.
    """
    current = models.current_id()
    if current is not None:
        if NOTE not in read_manifest(models.path(current)).notes:
            return current, False
        if served(folder, models) is not None and _is_whole(models.path(current)):
            return current, True
    return publish(bot, folder, models, compared=False).id, True


def _is_whole(version: Path) -> bool:
    try:
        verify(version)
    except ModelVersionError:
        return False
    return True
