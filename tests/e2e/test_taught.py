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
from playwright.async_api import expect

from tests.conftest import PATIENCE, Toy, toy_export
from tests.k8s.live import wait
from tests.services.sandbox.browsing import chat, chromium, opened, write
from tests.services.sandbox.school import make_checkout
from tests.services.sandbox.test_taught import DROP, MOST, card, shows

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


def drop(demo: TaughtDemo, export: dict[str, Any]) -> None:
    content = json.dumps(export, ensure_ascii=False).encode()
    url = f"{demo.page}/api/teaching/exports?name=a.json"
    httpx.put(url, content=content, headers={"content-type": "application/octet-stream"})


def name(demo: TaughtDemo) -> None:
    draft = demo.until(lambda bot: bot.get("senders"))["bot"]
    demo.post("/api/teaching/name", bot=draft, name="vasya", persona=["Автобус"])
    demo.post("/api/teaching/file", bot="vasya", text=BOT_FILE)


def long_export() -> dict[str, Any]:
    """The toy's chat, in which somebody goes on for long: it takes seconds to be read."""
    export: dict[str, Any] = toy_export()
    last = export["messages"][-2]
    aside = ({**last, "id": 1000 + number, "text": f"и {number}"} for number in range(60_000))
    export["messages"] += aside
    return export


def install_slowly(demo: TaughtDemo) -> Path:
    """Let training's packages be missing; return a file whose presence says that they come."""
    begun = demo.folder / "begun"
    (demo.folder / ".venv/.ready").unlink()
    python = demo.folder / ".venv/bin/python"
    python.parent.mkdir()
    write_script(python, f'case "$*" in *protoc*) ;; *) exec {sys.executable} "$@" ;; esac')
    write_script(demo.folder / "requirements/install.sh", f"touch {begun}; sleep 1000")
    return begun


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)


def talk(demo: TaughtDemo) -> None:
    wait(lambda: "vasya" in _bots(demo), "it has not joined", demo.folder, 1200)
    demo.post("/api/messages", chat="vasya", person="Аня", text="Привет")
    wait(lambda: bool(demo.answers()), "no answer", demo.folder)


def _bots(demo: TaughtDemo) -> list[str]:
    return [bot["name"] for bot in httpx.get(f"{demo.page}/api/state").json()["bots"]]


@pytest.mark.slow
async def test_an_export_that_is_dropped_becomes_a_bot_that_answers(demo: TaughtDemo) -> None:
    content = json.dumps(toy_export(), ensure_ascii=False)
    with demo.running(signal.SIGINT):
        async with chromium() as browser, opened(browser, f"{demo.page}/#/teach") as page:
            await page.locator(".drop").evaluate(DROP, content)
            await page.get_by_label("Автобус").check(timeout=MOST)
            await page.get_by_label("Имя бота").fill("vasya")
            await page.get_by_role("button", name="Дальше").click()
            bot = card(page, "vasya")
            await bot.get_by_text("bot.yaml", exact=True).click()
            await bot.get_by_role("textbox").fill(BOT_FILE)
            await bot.get_by_role("button", name="Сохранить").click()
            await shows(bot, "Прочитано 320 сообщений")
            await bot.get_by_role("button", name="Учить").click()
            await expect(bot).to_contain_text("Шаг 12 из 12", timeout=20 * MOST)
            await bot.get_by_role("link", name="Поговорить").click(timeout=20 * MOST)
            await write(page, "Привет")
            await page.keyboard.press("Enter")
            answer = page.locator(".message:not(.mine)").first
            await answer.get_by_role("button", name="Почему?").click(timeout=MOST)
            panel = page.get_by_role("complementary")
            await shows(panel, "Vasya отвечает")
            await expect(panel).to_contain_text(demo.bot()["version"])
            assert demo.bot("vasya")["reports"] == ["dataset", "evaluation"]
            await page.get_by_role("link", name="Новый бот").click()
            await expect(panel).to_have_count(0)
            await bot.get_by_role("button", name="Удалить").click()
            await bot.get_by_role("button", name="Удалить бота").click()
            await expect(bot).to_have_count(0, timeout=MOST)
            await expect(chat(page, "Vasya")).to_have_count(0)
    assert not list(demo.folder.glob("var/*/vasya"))
    assert not (demo.folder / "k8s/bots/vasya").exists()


@pytest.mark.slow
def test_a_demo_that_is_killed_in_each_stage_goes_on_and_leaves_no_process(
    demo: TaughtDemo,
) -> None:
    begun = install_slowly(demo)
    with demo.running(signal.SIGKILL):
        drop(demo, long_export())
        demo.until(lambda bot: bot["isWorking"])
    with demo.running(signal.SIGKILL):
        name(demo)
        demo.until(lambda bot: bot["isWorking"])
    with demo.running(signal.SIGKILL):
        assert not demo.bot()["dataset"]
        wait(begun.exists, "nothing is installed", demo.folder)
        assert demo.bot()["dataset"]
    write_script(demo.folder / "requirements/install.sh", "")
    with demo.running(signal.SIGKILL):
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
