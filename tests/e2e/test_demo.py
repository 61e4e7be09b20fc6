"""The demo as its user meets it: bots answer on the page, and a stop leaves nothing behind."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.texts import Texts
from tests.conftest import BOT, PATIENCE, Toy
from tests.k8s.live import wait

ROOT = Path(__file__).parents[2]
OTHER = "polkson"
DEMO = [sys.executable, "-m", "services.sandbox.demo"]


@pytest.fixture
def environment(toy: Toy, tmp_path: Path) -> dict[str, str]:
    """Two toy bots: the second is the first one's model under another name."""
    bots, models = tmp_path / "Боты и модели", tmp_path / "models"
    bots.mkdir()
    shutil.copytree(toy.models_dir, models, symlinks=True)
    shutil.copytree(models / BOT, models / OTHER, symlinks=True)
    manifest = (models / OTHER / "current" / "manifest.json").resolve()
    manifest.write_text(manifest.read_text().replace(f'"bot": "{BOT}"', f'"bot": "{OTHER}"'))
    for name in (BOT, OTHER, "unborn"):  # the last one has no model
        (bots / f"{name}.yaml").write_text(f"name: {name}\n")
    folders = {"BOTS_DIR": bots, "MODELS_DIR": models, "DEMO_LOG": tmp_path / "demo.log"}
    folders["DATA_DIR"] = tmp_path / "data"
    proxy = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {**os.environ, **proxy, **{key: str(path) for key, path in folders.items()}}


def test_bots_answer_on_the_page_and_a_stop_leaves_nothing_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        (tmp_path / "steps").open("w+") as steps,
        subprocess.Popen(
            DEMO,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=steps,
            text=True,
            umask=0o022,
        ) as demo,
    ):
        try:
            assert demo.stdout
            page = demo.stdout.readline().strip()
            assert page.startswith("http://127.0.0.1:")
            said = {"chat": "group", "person": "Борис", "text": f"@{BOT}_bot привет"}
            httpx.post(f"{page}/api/messages", json=said).raise_for_status()
            wait(lambda: "group" in [each["room"] for each in _sent(page)], "no answer", tmp_path)
            assert {sent["name"].lower() for sent in _sent(page)} == {BOT, OTHER}
            forget = {"chat": BOT, "person": "Аня", "text": "/forgetme"}
            httpx.post(f"{page}/api/messages", json=forget).raise_for_status()
            forgotten = Texts().forgotten
            wait(lambda: forgotten in [each["text"] for each in _sent(page)], "none", tmp_path)
        finally:
            demo.send_signal(signal.SIGHUP)
            shown = tmp_path / "steps"
            wait(lambda: "] ending" in shown.read_text("utf-8"), "it goes on", tmp_path)
            for number in (signal.SIGTERM, signal.SIGINT):  # an impatient user
                demo.send_signal(number)
            assert demo.wait(PATIENCE) == 0
    lines = (tmp_path / "steps").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"\[ *\d+\.\d s\] \S.*", line) for line in lines)
    log = environment["DEMO_LOG"]
    assert Path(log).stat().st_mode & 0o077 == 0
    assert lines[0].endswith("unborn is left out: no model of it is published yet")
    assert log in lines[1]
    events = [json.loads(line) for line in Path(log).read_text("utf-8").splitlines()]
    assert {each["service"] for each in events} == {"generation", "gateway", "sandbox"}
    wait(lambda: not _left(), "processes are left", tmp_path)
    assert not (tmp_path / "data").exists(), "people of the page are on the real forget list"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"TELEGRAM": "1"}, "TELEGRAM=1 wants a token .* AVTOBUS_TOKEN, "),
        (
            {"TELEGRAM": "1", "AVTOBUS_TOKEN": "no token"},
            "gateway of avtobus has ended with exit code 2: TELEGRAM_TOKEN",
        ),
        ({"DEMO_LOG": "/dev"}, "DEMO_LOG /dev: cannot be written"),
    ],
)
def test_why_it_ends_is_the_last_line(
    environment: dict[str, str], variables: dict[str, str], words: str
) -> None:
    done = _demo(environment, **variables)
    assert done.returncode == 2
    assert re.match(f"error: {words}", done.stderr.splitlines()[-1])


def test_two_demos_do_not_share_a_log(environment: dict[str, str]) -> None:
    with Path(environment["DEMO_LOG"]).open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        done = _demo(environment)
    assert done.returncode == 2
    assert "a demo is running already" in done.stderr


def _demo(environment: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    """A demo that ends by itself."""
    return subprocess.run(
        DEMO, env={**environment, **more}, cwd=ROOT, capture_output=True, text=True, check=False
    )


def _sent(page: str) -> list[dict[str, Any]]:
    """What bots have said."""
    state = httpx.get(f"{page}/api/state").json()
    bots = {bot["id"] for bot in state["bots"]}
    return [message for message in state["messages"] if message["from"] in bots]


def _left() -> list[Path]:
    """Processes of this test's demo that still run: their environment names its folder."""
    left = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if "Боты и модели".encode() in path.read_bytes():
                left.append(path)
    return left
