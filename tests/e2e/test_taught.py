"""A bot is taught on the demo's page by a demo that is killed again and again, and answers."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE, Toy, toy_export
from tests.k8s.live import wait
from tests.services.sandbox.school import make_checkout

ROOT = Path(__file__).parents[2]
BOT_FILE = """
name: vasya
extraction: {persona: Автобус}
training: {base: demo, max_steps: 12, measure_share: 0.2, checkpoint_minutes: 0}
gateway: {names: [вася]}
"""
STAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "training": lambda bot: (bot["progress"] or {"step": 0})["step"] > 2,
    "conversion": lambda bot: bot["trained"],
    "evaluation": lambda bot: bot["converted"],
    "publishing": lambda bot: bot["evaluation"],
}
"""When each has begun."""


class TaughtDemo:
    """A demo in a checkout of its own; it can be started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {"PYTHONPATH": str(ROOT), "SANDBOX_PORT": "0", "DEMO_LOG": str(folder / "demo.log")}
        self._environment = {**os.environ, **own}
        self.page = ""

    @contextmanager
    def running(self, number: signal.Signals) -> Iterator[None]:
        """Run it inside the block, and end it by that signal; then nothing of it is left."""
        command = [sys.executable, "-m", "services.sandbox.demo"]
        with (
            (self.folder / "steps").open("a") as steps,
            subprocess.Popen(
                command, cwd=self.folder, env=self._environment, text=True,
                stdout=subprocess.PIPE, stderr=steps,
            ) as demo,
        ):  # fmt: skip
            try:
                assert demo.stdout
                self.page = demo.stdout.readline().strip()
                assert self.page.startswith("http"), (self.folder / "steps").read_text()
                yield
            finally:
                demo.send_signal(number)
                demo.wait(PATIENCE)
        wait(lambda: not self._left(), "processes are left", self.folder)

    def post(self, path: str, **body: object) -> Any:
        answer = httpx.post(f"{self.page}{path}", json=body, timeout=PATIENCE)
        assert answer.is_success, answer.text
        return answer.json()

    def bot(self, name: str = "") -> dict[str, Any]:
        bots = httpx.get(f"{self.page}/api/teaching").json()["bots"]
        found = [bot for bot in bots if name in ("", bot["bot"])]
        assert found, bots
        assert not found[0]["problem"], found[0]
        return dict(found[0])

    def until(self, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until it holds of the bot, twenty minutes at most."""
        wait(lambda: bool(holds(self.bot())), "it was not reached", self.folder, 1200)
        return self.bot()

    def answers(self) -> list[str]:
        state = httpx.get(f"{self.page}/api/state").json()
        [bot] = [bot["id"] for bot in state["bots"] if bot["name"] == "vasya"]
        return [each["text"] for each in state["messages"] if each["from"] == bot]

    def _left(self) -> list[Path]:
        left = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if str(self.folder / "demo.log").encode() in path.read_bytes():
                    left.append(path)
        return left


@pytest.fixture
def demo(toy: Toy, tmp_path: Path) -> TaughtDemo:
    folder = make_checkout(tmp_path / "checkout")
    shutil.copytree(toy.models_dir, folder / "var/models", symlinks=True)
    return TaughtDemo(folder)


def begin(demo: TaughtDemo) -> None:
    """Drop the export, and describe the bot."""
    content = json.dumps(toy_export(), ensure_ascii=False).encode()
    url = f"{demo.page}/api/teaching/exports?name=a.json"
    httpx.put(url, content=content, headers={"content-type": "application/octet-stream"})
    draft = demo.until(lambda bot: bot.get("senders"))["bot"]
    demo.post("/api/teaching/name", bot=draft, name="vasya", persona=["Автобус"])
    demo.post("/api/teaching/file", bot="vasya", text=BOT_FILE)
    demo.until(lambda bot: bot["dataset"])


def talk(demo: TaughtDemo) -> None:
    wait(lambda: "vasya" in _bots(demo), "it has not joined", demo.folder, 1200)
    demo.post("/api/messages", chat="vasya", person="Аня", text="Привет")
    wait(lambda: bool(demo.answers()), "no answer", demo.folder)


def _bots(demo: TaughtDemo) -> list[str]:
    return [bot["name"] for bot in httpx.get(f"{demo.page}/api/state").json()["bots"]]


@pytest.mark.slow
def test_an_export_that_is_dropped_becomes_a_bot_that_answers(demo: TaughtDemo) -> None:
    with demo.running(signal.SIGINT):
        begin(demo)
        demo.post("/api/teaching/learn", bot="vasya")
        talk(demo)
        bot = demo.bot("vasya")
        assert bot["version"]
        assert bot["progress"]["step"] == 12
        assert bot["reports"] == ["dataset", "evaluation"]
        demo.post("/api/teaching/delete", bot="vasya")
        assert _bots(demo) == ["avtobus"]
    assert not list(demo.folder.glob("var/*/vasya"))
    assert not (demo.folder / "k8s/bots/vasya").exists()


@pytest.mark.slow
def test_a_demo_that_is_killed_in_each_stage_goes_on_and_leaves_no_process(
    demo: TaughtDemo,
) -> None:
    with demo.running(signal.SIGKILL):
        begin(demo)
        demo.post("/api/teaching/learn", bot="vasya")
    steps = 0
    for reached in STAGES.values():
        with demo.running(signal.SIGKILL):
            bot = demo.until(reached)
            assert bot["progress"]["step"] >= steps  # none is lost
            steps = bot["progress"]["step"]
    with demo.running(signal.SIGTERM):
        talk(demo)
    assert [path.name for path in (demo.folder / "var/data").iterdir()] == ["vasya"]
