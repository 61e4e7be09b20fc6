"""The bots that are taught on the page, as their files tell: nothing of them is kept elsewhere.

DATA_DIR/<bot>/
    exports/result.json   the export as it was dropped
    teaching.json         what one chose on the page, see `Teaching`
    teaching.log          what the jobs said, the last time
    bot.yaml              of a bot that has no name yet: its folder is `draft-…`
    dataset/, run/        what the jobs leave; how far they are is told by it
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from contracts.bot_file import NAME, BotFile, bot_path
from contracts.dataset import CARD
from contracts.files import read_model, write_model
from contracts.model_version import BotModels
from contracts.refusal import Refusal
from contracts.settings import Volumes

FILE, LOG, EXPORT, DRAFT = "teaching.json", "teaching.log", "result.json", "draft-"
CARD_FIELDS = ("messages_read", "persona_messages", "train_records", "heldout_records", "warnings")
REPORTS = {"dataset": "dataset/report.html", "evaluation": "run/report.html"}


Wanted = Literal["", "senders", "dataset", "model"]


class Teaching(BaseModel):
    """teaching.json.

    file    the export's name before it was stored
    asked   when `wanted` was chosen, in unix time: who asked first comes first
    wanted  what is to be done, or is being done; nothing where one has stopped it, or all is done
    """

    file: str
    asked: float
    wanted: Wanted = "senders"


class TaughtBots:
    def __init__(self, volumes: Volumes, bots_dir: Path) -> None:
        self.volumes = volumes
        self.bots_dir = bots_dir

    def names(self) -> list[str]:
        """Return who is taught, or was; who asked first comes first."""
        found = [path.parent.name for path in self.volumes.data_dir.glob(f"*/{FILE}")]
        return sorted(filter(NAME.fullmatch, found), key=lambda bot: self.read(bot).asked)

    def folder(self, bot: str) -> Path:
        return self.volumes.data_dir / bot

    def read(self, bot: str) -> Teaching:
        """Raises Refusal where no such bot is taught here."""
        if not NAME.fullmatch(bot):
            raise Refusal(f"no bot {bot!r} is taught here")
        return read_model(self.folder(bot) / FILE, Teaching, "no bot of this name is taught here")

    def want(self, bot: str, what: Wanted) -> None:
        changes = {"wanted": what, "asked": time.time()}
        write_model(self.folder(bot) / FILE, self.read(bot).model_copy(update=changes))

    def new_draft(self) -> Path:
        """Return the folder of a new bot without a name; an export is to be put there."""
        folder = self.folder(DRAFT + secrets.token_hex(4))
        (folder / "exports").mkdir(parents=True)
        (folder / "bot.yaml").write_text(f"name: {folder.name}\n", encoding="utf-8")
        return folder

    def remove_unfinished(self) -> None:
        """Remove what uploads left that ended with the demo."""
        for folder in self.volumes.data_dir.glob(f"{DRAFT}*"):
            if not (folder / FILE).exists():
                shutil.rmtree(folder, ignore_errors=True)

    def bot_file(self, bot: str) -> Path:
        draft = self.folder(bot) / "bot.yaml"
        return draft if draft.exists() else bot_path(self.bots_dir, bot)

    def named(self, draft: str) -> str | None:
        """Return the name that a draft's file gives it, None where it has none yet."""
        path = self.folder(draft) / "bot.yaml"
        name = BotFile.read(path).name if path.exists() else draft
        return None if name == draft else name

    def bases(self) -> list[str]:
        """Return the base models that are here."""
        folders = sorted(path.name for path in self.volumes.base_dir.glob("*--*") if path.is_dir())
        return ["demo", *(name.replace("--", "/", 1) for name in folders)]

    def problem(self, bot: str) -> str:
        """Return the first refusal in what the jobs said."""
        with suppress(OSError):
            for line in (self.folder(bot) / LOG).read_text("utf-8", "replace").splitlines():
                if line.startswith("error: "):
                    return line.removeprefix("error: ")
        return f"it has failed: {self.folder(bot) / LOG} may say why"

    def view(self, bot: str) -> dict[str, Any]:
        """Return what the page shows of it, as far as files tell."""
        run, folder = self.volumes.run(bot), self.folder(bot)
        export = self.volumes.exports(bot) / EXPORT
        card = _json(self.volumes.dataset(bot) / CARD)
        return {
            "bot": bot,
            **self.read(bot).model_dump(),
            "isDraft": (folder / "bot.yaml").exists(),
            "folder": str(folder),
            "bytes": export.stat().st_size if export.exists() else 0,
            "text": self.bot_file(bot).read_text(encoding="utf-8"),
            "dataset": card and {name: card.get(name) for name in CARD_FIELDS},
            "progress": _json(run / "progress.json"),
            "trained": (run / "run.json").exists(),
            "converted": (run / "conversion.json").exists(),
            "evaluation": _json(run / "evaluation.json"),
            "reports": [name for name, path in REPORTS.items() if (folder / path).exists()],
            "version": BotModels(self.volumes.models(bot)).current_id(),
        }

    def views(self) -> Iterator[dict[str, Any]]:
        for bot in self.names():
            with suppress(Refusal, OSError):  # it is being deleted
                yield self.view(bot)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
