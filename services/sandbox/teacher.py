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

from contracts.bot_file import NAME, BotFile
from contracts.files import Locked, locked, write_whole
from contracts.refusal import Refusal
from services.sandbox.bot_folders import BotFolders
from services.sandbox.taught_bots import LOG, TaughtBots, Wanted
from services.sandbox.tied_process import tied_process
from services.sandbox.training_packages import TrainingPackages

LOCK_SECONDS = 0.5
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
        self._folders = BotFolders(bots, environment)
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
                    bot = await self._folders.give_name(bot)
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
            await self._folders.check(draft, _yaml(content), name)
            await self._folders.undo_naming(draft)  # of an attempt before
            self._folders.refuse_taken(name)
            await self._halt(draft)
            self.bots.change(draft, naming=_yaml(content))
            self.go(await self._folders.give_name(draft))
            self._found.pop(draft, None)
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
            await self._folders.undo_naming(bot)
        else:
            await self._folders.remove(bot)
        if (models := self.bots.volumes.models(bot)).exists():
            await asyncio.to_thread(shutil.rmtree, models)
        await asyncio.to_thread(shutil.rmtree, self.bots.put_aside(bot))
        self._found.pop(bot, None)

    async def _change_file(self, bot: str, text: str) -> None:
        await self._folders.check(bot, text, bot)
        write_whole(self.bots.bot_file(bot), text)

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
