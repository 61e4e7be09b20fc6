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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
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
            try:
                await self._resume(bot)
            except (Refusal, OSError) as error:
                self._found[bot] = {"problem": str(error)}

    async def _resume(self, bot: str) -> None:
        if self.bots.read(bot).wanted == "nothing":
            return await self._delete(bot)
        if name := self.bots.named(bot):
            async with self._naming:
                bot = await self._give_name(bot, name)
        self.bots.forget_draft(bot)
        self.go(bot)
        return None

    async def close(self) -> None:
        """End all processes once what is being changed is changed; what is wanted stays so."""
        for changing in [*self._changing.values()]:
            async with changing:
                pass
        await asyncio.gather(self.packages.close(), *map(self._halt, [*self._tasks]))

    def view(self) -> dict[str, Any]:
        bots = [{**view, **self._state(view["bot"])} for view in self.bots.views()]
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
            if base is not None:
                await self._change_file(bot, _with_base(self.bots.bot_file(bot), base))
            wanted: Wanted = (
                "model" if view["dataset"] else "senders" if view["isDraft"] else "dataset"
            )
            if self.bots.read(bot).wanted != wanted or self._found.get(bot, {}).get("problem"):
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
            if self.bots.named(draft) or not (self.bots.folder(draft) / "bot.yaml").exists():
                raise Refusal(f"{draft} has a name already")
            if not NAME.fullmatch(name):
                allowed = "lower-case Latin letters, digits and dashes, at most 32, a letter first"
                raise Refusal(f"name {name!r}: must be {allowed}, and not kustomization")
            if name in bot_names(self.bots.bots_dir) or self.bots.folder(name).exists():
                raise Refusal(f"name {name!r}: there is a bot of this name already")
            content = {
                "name": name,
                "extraction": {"persona": persona[0] if len(persona) == 1 else persona},
                "gateway": {"names": [*called]},
            }
            await self._halt(draft)
            try:
                await self._check(draft, _yaml(content), self.bots.folder(draft) / "bot.yaml")
                self.go(await self._give_name(draft, name))
            except (Refusal, OSError):
                await self._take_name(draft, name)
                raise
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
            self.bots.want(bot, "nothing")
            await self._halt(bot)
            await self._delete(bot)

    async def _delete(self, bot: str) -> None:
        await self._leave(bot)
        with suppress(Refusal):  # of a draft whose file somebody has changed
            await self._make("remove-bot", self.bots.named(bot) or bot)
        await asyncio.to_thread(shutil.rmtree, self.bots.volumes.models(bot), ignore_errors=True)
        await asyncio.to_thread(self.bots.remove, bot)
        self._found.pop(bot, None)

    async def _give_name(self, draft: str, name: str) -> str:
        """Make the folders of the bot that a draft's file describes; what is done stays so."""
        if name not in bot_names(self.bots.bots_dir):
            await self._make("new-bot", name)
        path = self.bots.folder(draft) / "bot.yaml"
        write_whole(self.bots.bots_dir / name / "bot.yaml", path.read_bytes())
        self.bots.want(draft, "dataset")
        self.bots.folder(draft).rename(self.bots.folder(name))
        self.bots.forget_draft(name)
        return name

    async def _take_name(self, draft: str, name: str) -> None:
        """Let a draft be a draft again, to which a name cannot be given now."""
        with suppress(Refusal, OSError):
            if self.bots.folder(draft).exists() and self.bots.named(draft) == name:
                write_whole(self.bots.folder(draft) / "bot.yaml", f"name: {draft}\n")
                await self._make("remove-bot", name)

    async def _change_file(self, bot: str, text: str) -> None:
        await self._check(bot, text, self.bots.bot_file(bot))

    async def _check(self, bot: str, text: str, path: Path) -> None:
        """Write a bot's file where it is not refused."""
        new = self.bots.folder(bot) / "bot.yaml.new"
        try:
            new.write_text(text, encoding="utf-8")
            await self._output(sys.executable, "-m", "services.sandbox.check_bot", str(new))
            if path.parent != new.parent and BotFile.read(new).name != bot:
                raise Refusal(f"name: must stay {bot}")
            write_whole(path, text)
        finally:
            new.unlink(missing_ok=True)

    async def _halt(self, bot: str) -> None:
        if task := self._tasks.pop(bot, None):
            task.cancel()
            await asyncio.wait([task])

    async def _work(self, bot: str) -> None:
        """Do what is wanted of the bot, and note why that has failed."""
        works = {"senders": self._count_senders, "dataset": self._prepare, "model": self._train}
        try:
            if work := works.get(self.bots.read(bot).wanted):
                await work(bot)
        except (Refusal, OSError) as error:
            self._found.setdefault(bot, {})["problem"] = str(error)

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

    async def _make(self, target: str, name: str) -> None:
        await self._output("make", "-s", target, f"NAME={name}")

    async def _output(self, *command: str) -> None:
        """Run what is short; raises Refusal with what it says is wrong."""
        code, said = await run_tied(*command, environment=self._environment)
        if code:
            errors = (line for line in said if line.startswith("error: "))
            raise Refusal(next(errors, f"{command[0]} has failed").removeprefix("error: "))


def _yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False)


def _with_base(path: Path, base: str) -> str:
    """Return a bot's file with that base; comments are kept where nothing else was said of it."""
    found = BotFile.read(path).sections["training"]
    training = found if isinstance(found, dict) else {}
    text = path.read_text(encoding="utf-8")
    if training.get("base") == base:
        return text
    if not training:
        return f"{text.rstrip()}\ntraining:\n  base: {base}\n"
    return _yaml({**yaml.safe_load(text), "training": {**training, "base": base}})


def _is_locked(folder: Path) -> bool:
    try:
        with locked(folder, "busy"):
            return False
    except Locked:
        return True
