"""Teaches bots: does for each what is wanted of it, by the jobs that Kubernetes runs, as processes.

What is wanted stands in the bot's own files, and so is gone on with after a restart. One model is
trained at a time; who waits is served in the order of asking. Exports are read aside from that.
"""

import asyncio
import json
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from contracts.bot_file import NAME, BotFile, bot_names
from contracts.files import Locked, locked, write_whole
from contracts.refusal import Refusal
from services.sandbox.taught_bots import LOG, TaughtBots, Wanted
from services.sandbox.tied_process import run_tied, tied_process
from services.sandbox.training_packages import TrainingPackages

LOCK_SECONDS = 0.5
TAKEN = "there is a bot of this name already"
ESTIMATE = re.compile(r"at most ((?:\d+ days?, )?[\d:]+)\n(?:.*\n)*([\d.]+ GiB)")
"""What `training_jobs.finetune --estimate` says of time and memory."""
Act = Callable[[str], Awaitable[None]]


class Teacher:
    """join, leave   let a bot begin to serve, or end
    environment   of the processes
    """

    def __init__(
        self, bots: TaughtBots, environment: Mapping[str, str], join: Act, leave: Act
    ) -> None:
        self.bots = bots
        self.packages = TrainingPackages(environment)
        self._environment = environment
        self._join, self._leave = join, leave
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._found: dict[str, dict[str, Any]] = {}
        self._at_work = set[str]()
        self._training, self._naming = asyncio.Lock(), asyncio.Lock()
        self._changing = defaultdict[str, asyncio.Lock](asyncio.Lock)  # of each bot

    async def resume(self) -> None:
        """Go on with what was wanted when the demo ended."""
        self.bots.remove_unfinished()
        for bot in self.bots.names():
            async with self._changing[bot]:
                with self._noting(bot):
                    await self._resume(bot)

    async def _resume(self, bot: str) -> None:
        teaching = self.bots.read(bot)
        if teaching.wanted == "deletion":
            await self._delete(bot)
            return
        if teaching.naming:
            async with self._naming:
                with suppress(Refusal, OSError):  # it is a draft as before, to be named anew
                    bot = await self._give_name(bot)
        self.go(bot)

    @contextmanager
    def _noting(self, bot: str) -> Iterator[None]:
        """Let the page show why something cannot be done."""
        try:
            yield
        except (Refusal, OSError) as error:
            self._found.setdefault(bot, {})["problem"] = str(error)

    async def close(self) -> None:
        """End all processes once what is being changed is changed; what is wanted stays so."""
        for changing in [*self._changing.values()]:
            async with changing:
                pass
        await asyncio.gather(self.packages.close(), *map(self._halt, [*self._tasks]))

    def view(self) -> dict[str, Any]:
        views = [{**view, **self._state(view["bot"])} for view in self.bots.views()]
        bots = [one for one in views if one["wanted"] != "deletion" or one["problem"]]
        return {"packages": self.packages.view(), "bases": self.bots.bases(), "bots": bots}

    def _state(self, bot: str) -> dict[str, Any]:
        task = self._tasks.get(bot)
        is_working = bot in self._at_work
        is_waiting = not is_working and task is not None and not task.done()
        found = self._found.get(bot, {})
        return {"problem": "", **found, "isWorking": is_working, "isWaiting": is_waiting}

    def go(self, bot: str) -> None:
        """Begin with what is wanted of the bot, unless that has begun."""
        if bot not in self._tasks or self._tasks[bot].done():
            self._found.setdefault(bot, {})["problem"] = ""
            self._tasks[bot] = asyncio.create_task(self._work(bot))

    async def learn(self, bot: str, base: str | None) -> None:
        """Train it, or go on with that; before its export is read, read that."""
        async with self._changing[bot]:
            view = self.bots.view(bot)
            is_changed = base not in (None, view["base"])
            if base and is_changed:
                await self._change_file(bot, _with_base(self.bots.bot_file(bot), base))
            wanted: Wanted = (
                "model" if view["dataset"] else "senders" if view["isDraft"] else "dataset"
            )
            has_failed = self._found.get(bot, {}).get("problem")
            if is_changed or has_failed or view["wanted"] != wanted:
                await self._halt(bot)
                self.bots.want(bot, wanted)
            self.go(bot)

    async def stop(self, bot: str) -> None:
        async with self._changing[bot]:
            self.bots.want(bot, "")
            await self._halt(bot)

    async def name(self, draft: str, name: str, persona: list[str], called: Sequence[str]) -> str:
        """Give a draft its name, whose answers it learns, and what it is called in groups."""
        async with self._changing[draft], self._naming:
            if not self.bots.is_draft(draft):
                raise Refusal(f"{draft} has a name already")
            if not NAME.fullmatch(name):
                allowed = "lower-case Latin letters, digits and dashes, at most 32, a letter first"
                raise Refusal(f"name {name!r}: must be {allowed}, and not kustomization")
            content = {
                "name": name,
                "extraction": {"persona": persona[0] if len(persona) == 1 else persona},
                "gateway": {"names": [*called]},
            }
            await self._check(draft, _yaml(content), name)
            await self._undo_naming(draft)  # of an attempt before
            if name in bot_names(self.bots.bots_dir) or self.bots.folder(name).exists():
                raise Refusal(f"name {name!r}: {TAKEN}")
            await self._halt(draft)
            self.bots.change(draft, naming=_yaml(content))
            self.go(await self._give_name(draft))
            return name

    async def change_file(self, bot: str, text: str) -> None:
        async with self._changing[bot]:
            await self._change_file(bot, text)
            self._found.get(bot, {}).pop("problem", None)  # what was wrong may be right now
            if self.bots.view(bot)["version"]:
                await self._join(bot)

    async def delete(self, bot: str) -> None:
        """Delete all that there is of it; what is deleted already stays so."""
        async with self._changing[bot]:
            if not self.bots.folder(bot).exists():
                return
            self.bots.want(bot, "deletion")
            await self._halt(bot)
            with self._noting(bot):
                await self._delete(bot)

    async def _delete(self, bot: str) -> None:
        await self._leave(bot)
        if self.bots.is_draft(bot):
            await self._undo_naming(bot)
        else:
            await self._make("remove-bot", bot)
        if (models := self.bots.volumes.models(bot)).exists():
            await asyncio.to_thread(shutil.rmtree, models)
        await asyncio.to_thread(shutil.rmtree, self.bots.put_aside(bot))
        self._found.pop(bot, None)

    async def _give_name(self, draft: str) -> str:
        """Make the folders of the bot that teaching.json describes, or leave the draft as it was.

        What was done of it before a kill is done.
        """
        text = self.bots.read(draft).naming
        name, folder = str(yaml.safe_load(text)["name"]), self.bots.folder(draft)
        try:
            if draft != name:
                if not (self.bots.bots_dir / name).exists():
                    write_whole(folder / "bot.yaml.new", text)
                    await self._make("new-bot", name, f"FILE={folder / 'bot.yaml.new'}")
                if not self._is_of(name, text):
                    raise Refusal(f"name {name!r}: {TAKEN}")
                folder.rename(self.bots.folder(name))
            self.bots.finish_naming(name)
        except (Refusal, OSError):
            await self._undo_naming(draft)
            raise
        self._found.pop(draft, None)
        return name

    def _is_of(self, name: str, text: str) -> bool:
        path = self.bots.bots_dir / name / "bot.yaml"
        return path.exists() and path.read_text(encoding="utf-8") == text

    async def _undo_naming(self, draft: str) -> None:
        if text := self.bots.read(draft).naming:
            name = yaml.safe_load(text)["name"]
            if self._is_of(name, text) or not (self.bots.bots_dir / name).exists():
                await self._make("remove-bot", name)  # what is half made, too
            self.bots.change(draft, naming="", wanted="senders")

    async def _change_file(self, bot: str, text: str) -> None:
        await self._check(bot, text, bot)
        write_whole(self.bots.bot_file(bot), text)

    async def _check(self, bot: str, text: str, name: str) -> None:
        """Raise Refusal where this is no file of a bot of that name."""
        new = self.bots.folder(bot) / "bot.yaml.new"
        try:
            write_whole(new, text)
            await self._output(sys.executable, "-m", "services.sandbox.check_bot", str(new))
            if BotFile.read(new).name != name:
                raise Refusal(f"name: must stay {name}")
        finally:
            new.unlink(missing_ok=True)

    async def _halt(self, bot: str) -> None:
        if task := self._tasks.pop(bot, None):
            task.cancel()
            await asyncio.wait([task])

    async def _work(self, bot: str) -> None:
        """Do what is wanted of the bot, and note why that has failed."""
        works = {"senders": self._count_senders, "dataset": self._prepare, "model": self._train}
        with self._noting(bot):
            if work := works.get(self.bots.read(bot).wanted):
                await work(bot)

    async def _count_senders(self, bot: str) -> None:
        said = await self._job(bot, "extraction_jobs.build_dataset", "--list-senders", "--json")
        self._found[bot]["senders"] = [json.loads(line) for line in said.splitlines()]

    async def _prepare(self, bot: str) -> None:
        """Build the data set, and say for each base what its training would cost."""
        await self._job(bot, "extraction_jobs.build_dataset", "--skip-unchanged")
        await self.packages.wait()
        estimates = self._found[bot].setdefault("estimates", {})
        for base in self.bots.bases():
            with suppress(Refusal):
                options = ("--estimate", "--base", base)
                said = await self._job(bot, "training_jobs.finetune", *options)
                if found := ESTIMATE.search(said):
                    estimates[base] = {"time": found[1], "memory": found[2]}

    async def _train(self, bot: str) -> None:
        async with self._training:
            await self.packages.wait()
            await self._job(bot, "training_jobs.pipeline", "--skip-unchanged")
        self.bots.want(bot, "")
        await asyncio.shield(self._join(bot))

    async def _job(self, bot: str, module: str, *options: str) -> str:
        """Run a job of the bot, and return what it prints; raises Refusal with its own words."""
        while _is_locked(self.bots.folder(bot)):  # noqa: ASYNC110 (by a job of a killed demo)
            await asyncio.sleep(LOCK_SECONDS)
        command = (sys.executable, "-m", module, "--bot", str(self.bots.bot_file(bot)), *options)
        self._at_work.add(bot)
        try:
            with (self.bots.folder(bot) / LOG).open("wb") as log:
                async with tied_process(
                    *command, environment=self._environment, stderr=log
                ) as process:
                    said, _ = await process.communicate()
        finally:
            self._at_work.discard(bot)
        if process.returncode:
            raise Refusal(self.bots.problem(bot))
        return said.decode()

    async def _make(self, target: str, name: str, *more: str) -> None:
        await self._output("make", "-s", target, f"NAME={name}", *more)

    async def _output(self, *command: str) -> None:
        """Run what is short; raises Refusal with what it says is wrong."""
        code, said = await run_tied(*command, environment=self._environment)
        if code:
            errors = (line for line in said if line.startswith("error: "))
            raise Refusal(next(errors, f"{command[0]} has failed").removeprefix("error: "))


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False)


def _with_base(path: Path, base: str) -> str:
    """Return a bot's file with that base; comments are kept where nothing was said of training."""
    training = BotFile.read(path).sections["training"]
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    if "training" not in content and not text.lstrip().startswith("{"):
        return f"{text.rstrip()}\n{_yaml({'training': {'base': base}})}"
    return _yaml({**content, "training": {**training, "base": base}})


def _is_locked(folder: Path) -> bool:
    try:
        with locked(folder, "busy"):
            return False
    except Locked:
        return True
