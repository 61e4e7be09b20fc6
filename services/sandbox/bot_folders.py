"""The folders of bots in `k8s/bots`, as the page makes, fills and removes them.

Each is made as a whole by `make new-bot`, from the file that teaching.json describes: so what was
done before a kill is known by that file, and is gone on with or undone.
"""

import sys
from collections.abc import Mapping

import yaml

from contracts.bot_file import BotFile, bot_names
from contracts.files import write_whole
from contracts.refusal import Refusal
from services.sandbox.taught_bots import TaughtBots
from services.sandbox.tied_process import run_tied

TAKEN = "there is a bot of this name already"


class BotFolders:
    """environment  of the processes"""

    def __init__(self, bots: TaughtBots, environment: Mapping[str, str]) -> None:
        self._bots = bots
        self._environment = environment

    def refuse_taken(self, name: str) -> None:
        """Raise Refusal where there is a bot of this name, or anything of one."""
        if name in bot_names(self._bots.bots_dir) or self._bots.folder(name).exists():
            raise Refusal(f"name {name!r}: {TAKEN}")

    async def check(self, bot: str, text: str, name: str) -> None:
        """Raise Refusal where a text is no file of a bot of that name."""
        new = self._bots.folder(bot) / "bot.yaml.new"
        try:
            write_whole(new, text)
            await self._run(sys.executable, "-m", "services.sandbox.check_bot", str(new))
            if BotFile.read(new).name != name:
                raise Refusal(f"name: must stay {name}")
        finally:
            new.unlink(missing_ok=True)

    async def give_name(self, draft: str) -> str:
        """Make the bot that a draft's teaching.json describes; return its name.

        Raises Refusal or OSError, and leaves the draft as it was.
        """
        text = self._bots.read(draft).naming
        name, folder = str(yaml.safe_load(text)["name"]), self._bots.folder(draft)
        try:
            if draft != name:
                if not (self._bots.bots_dir / name).exists():
                    write_whole(folder / "bot.yaml.new", text)
                    await self._make("new-bot", name, f"FILE={folder / 'bot.yaml.new'}")
                if not self._is_of(name, text):
                    raise Refusal(f"name {name!r}: {TAKEN}")
                folder.rename(self._bots.folder(name))
            self._bots.finish_naming(name)
        except (Refusal, OSError):
            await self.undo_naming(draft)
            raise
        return name

    async def undo_naming(self, draft: str) -> None:
        """Remove what a naming that failed has made, if one has."""
        if text := self._bots.read(draft).naming:
            name = yaml.safe_load(text)["name"]
            if self._is_of(name, text) or not (self._bots.bots_dir / name).exists():
                await self.remove(name)  # what is half made, too
            self._bots.change(draft, naming="", wanted="senders")

    async def remove(self, name: str) -> None:
        await self._make("remove-bot", name)

    def _is_of(self, name: str, text: str) -> bool:
        path = self._bots.bots_dir / name / "bot.yaml"
        return path.exists() and path.read_text(encoding="utf-8") == text

    async def _make(self, target: str, name: str, *more: str) -> None:
        await self._run("make", "-s", target, f"NAME={name}", *more)

    async def _run(self, *command: str) -> None:
        """Run what is short; raises Refusal with what it says is wrong."""
        code, said = await run_tied(*command, environment=self._environment)
        if code:
            errors = (line for line in said if line.startswith("error: "))
            raise Refusal(next(errors, f"{command[0]} has failed").removeprefix("error: "))
