"""The bots that are taught on the page, as their files tell: nothing of them is kept elsewhere.

DATA_DIR/<bot>/
    exports/result.json   the export as it was dropped
    teaching.json         what one chose on the page, see `Teaching`
    teaching.log          what the jobs said, the last time
    bot.yaml              of a bot that has no name yet: its folder is `draft-…`
    dataset/, run/        what the jobs leave; how far they are is told by it

What comes in or is deleted lies in a folder `.aside-…`: it comes to its place, or leaves it, whole.
"""

import json
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from contracts.bot_file import NAME, BotFile, bot_path
from contracts.dataset import CARD
from contracts.files import locked, read_model, write_model
from contracts.model_version import BotModels
from contracts.refusal import Refusal
from contracts.settings import Volumes

FILE, LOG, EXPORT = "teaching.json", "teaching.log", "result.json"
DRAFT, ASIDE = "draft-", ".aside-"
CARD_FIELDS = ("messages_read", "persona_messages", "train_records", "heldout_records", "warnings")
BUSY = "another demo works there"
REPORTS = {"dataset": "dataset/report.html", "evaluation": "run/report.html"}


Wanted = Literal["", "senders", "dataset", "model", "deletion"]


class Teaching(BaseModel):
    """teaching.json.

    file    the export's name before it was stored
    asked   when `wanted` was chosen, in unix time: who asked first comes first
    wanted  what is to be done, or is being done; empty where one has stopped it, or all is done
    naming  the bot.yaml with the name that a draft is being given
    """

    file: str
    asked: float
    wanted: Wanted = "senders"
    naming: str = ""


class TaughtBots:
    def __init__(self, volumes: Volumes, bots_dir: Path) -> None:
        self.volumes = volumes
        self.bots_dir = bots_dir

    def names(self) -> list[str]:
        """Return who is taught, or was; who asked first comes first."""
        asked = dict[str, float]()
        for path in self.volumes.data_dir.glob(f"*/{FILE}"):
            with suppress(Refusal, OSError):  # a file that somebody has changed
                asked[path.parent.name] = self.read(path.parent.name).asked
        return sorted(asked, key=lambda bot: asked[bot])

    def folder(self, bot: str) -> Path:
        return self.volumes.data_dir / bot

    def read(self, bot: str) -> Teaching:
        """Raises Refusal where no such bot is taught here."""
        if not NAME.fullmatch(bot):
            raise Refusal(f"no bot {bot!r} is taught here")
        return read_model(self.folder(bot) / FILE, Teaching, "no bot of this name is taught here")

    def want(self, bot: str, what: Wanted) -> None:
        self.change(bot, wanted=what, asked=time.time())

    def change(self, bot: str, **changes: object) -> None:
        """Write fields of its teaching.json."""
        write_model(self.folder(bot) / FILE, self.read(bot).model_copy(update=changes))

    @contextmanager
    def new_draft(self, file: str) -> Iterator[tuple[str, Path]]:
        """Yield a new bot without a name, which is there after the block, and its export's path."""
        number = secrets.token_hex(4)
        draft, aside = f"{DRAFT}{number}", self.volumes.data_dir / f"{ASIDE}{number}"
        with locked(aside, BUSY):
            try:
                (aside / "exports").mkdir()
                yield draft, aside / "exports" / EXPORT
                (aside / "bot.yaml").write_text(f"name: {draft}\n", encoding="utf-8")
                write_model(aside / FILE, Teaching(file=file, asked=time.time()))
                aside.rename(self.folder(draft))
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise

    def put_aside(self, bot: str) -> Path:
        """Move its folder to where nobody finds it any more."""
        aside = self.volumes.data_dir / f"{ASIDE}{secrets.token_hex(4)}"
        return self.folder(bot).rename(aside)

    def remove_unfinished(self) -> None:
        """Remove what uploads and deletions left that ended with the demo."""
        for aside in self.volumes.data_dir.glob(f"{ASIDE}*"):
            with suppress(Refusal), locked(aside, BUSY):  # by another demo
                shutil.rmtree(aside, ignore_errors=True)

    def bot_file(self, bot: str) -> Path:
        draft = self.folder(bot) / "bot.yaml"
        return draft if draft.exists() else bot_path(self.bots_dir, bot)

    def is_draft(self, bot: str) -> bool:
        return (self.folder(bot) / "bot.yaml").exists()

    def finish_naming(self, bot: str) -> None:
        """Let a draft whose folder has its name be a draft no more."""
        for name in ("bot.yaml", "bot.yaml.new"):
            (self.folder(bot) / name).unlink(missing_ok=True)
        self.change(bot, naming="", wanted="dataset")

    def bases(self) -> list[str]:
        """Return the base models that are here."""
        folders = sorted(path.name for path in self.volumes.base_dir.glob("*--*") if path.is_dir())
        return ["demo", *(name.replace("--", "/", 1) for name in folders)]

    def _file(self, bot: str) -> dict[str, str | None]:
        """Return its bot.yaml as text, and the base that it names, as far as it can be read."""
        text, base = "", None
        with suppress(Refusal, OSError):
            text = self.bot_file(bot).read_text("utf-8", "replace")
            training = BotFile.read(self.bot_file(bot)).sections["training"]
            base = training.get("base") if isinstance(training, dict) else None
        return {"text": text, "base": base}

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
            **self.read(bot).model_dump(exclude={"naming"}),
            "isDraft": self.is_draft(bot),
            "folder": str(folder),
            "bytes": export.stat().st_size if export.exists() else 0,
            **self._file(bot),
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
