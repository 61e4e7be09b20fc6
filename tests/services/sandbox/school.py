"""A checkout of its own, and a page in it on which bots are taught: real jobs, no gateways."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp

from contracts.settings import Volumes
from services.sandbox.demo_processes import Gateways
from services.sandbox.hosting import hosting
from services.sandbox.taught_bots import TaughtBots
from tests.conftest import PATIENCE, toy_export
from tests.services.sandbox.conftest import sandbox_settings

ROOT = Path(__file__).parents[3]
EXPORT = json.dumps(toy_export(), ensure_ascii=False).encode()
AVTOBUS, NINA = "user2", "user1"
MARKS = ("requirements/install.sh", "protos/generation/v1/generation.proto", ".venv/.serving",
         "protos/generation/v1/generation_pb2.py", ".venv/.ready",
         "protos/generation/v1/generation_pb2.pyi")  # fmt: skip
"""Files that say what is installed, the oldest first."""


def make_checkout(folder: Path) -> Path:
    """What teaching needs of a checkout, with everything installed as far as make can tell."""
    shutil.copytree(ROOT / "k8s", folder / "k8s")
    shutil.copy(ROOT / "Makefile", folder)
    for age, name in enumerate(MARKS, -len(MARKS)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (time.time() + age, time.time() + age))
    return folder


@dataclass
class FakeGateways:
    """Remembers who is served."""

    demo: Any
    served: dict[str, str] = field(default_factory=dict)

    async def start(self, bot: str, token: str, is_guest: bool = False) -> int:
        self.served[bot] = token
        return 0

    async def end(self, bot: str) -> None:
        self.served.pop(bot, None)


@dataclass
class DemoEnvironment:
    environment: dict[str, str]


@dataclass
class School:
    """The page's address, its checkout, and who is served."""

    url: str
    http: aiohttp.ClientSession
    folder: Path
    bots: TaughtBots
    gateways: FakeGateways

    async def post(self, action: str, status: int = 200, **body: object) -> Any:
        async with self.http.post(f"{self.url}/api/teaching/{action}", json=body) as answer:
            told = await answer.json()
            assert answer.status == status, told
            return told["bot"] if status == 200 else told["description"]

    async def upload(self, content: object, status: int = 201, name: str = "result.json") -> str:
        headers = {"content-type": "application/octet-stream"}
        url = f"{self.url}/api/teaching/exports?name={name}"
        async with self.http.put(url, data=content, headers=headers) as answer:
            told = await answer.json()
            assert answer.status == status, told
            return str(told["bot"] if status == 201 else told["description"])

    async def view(self) -> Any:
        async with self.http.get(f"{self.url}/api/teaching") as answer:
            assert answer.status == 200
            return await answer.json()

    async def until(self, bot: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until it holds of the bot; return what the page shows of it then."""
        give_up = time.monotonic() + PATIENCE
        while True:
            found = {each["bot"]: each for each in (await self.view())["bots"]}
            if bot in found and holds(found[bot]):
                return cast(dict[str, Any], found[bot])
            assert time.monotonic() < give_up, found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_school(folder: Path, most_bytes: int = 10**7) -> AsyncIterator[School]:
    """Serve the page inside the block; the working directory has to be the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json"}
    gateways = FakeGateways(DemoEnvironment(environment))
    bots = TaughtBots(Volumes(), Path("k8s/bots"))
    serving = hosting(sandbox_settings(), cast(Gateways, gateways), bots, most_bytes)
    async with serving as url, aiohttp.ClientSession() as http:
        yield School(url, http, folder, bots, gateways)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def listed() -> str:
    return Path("k8s/bots/kustomization.yaml").read_text(encoding="utf-8")


def make(target: str, *more: str) -> None:
    command = ["make", "-s", target, "NAME=vasya", *more]
    subprocess.run(command, check=True, capture_output=True)


async def named(school: School, export: bytes = EXPORT, persona: str = AVTOBUS) -> str:
    draft = await school.upload(export)
    told: dict[str, Any] = {"name": "vasya", "persona": [persona], "called": ["вася"]}
    return str(await school.post("name", bot=draft, **told))
