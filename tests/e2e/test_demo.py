"""The demo as its user meets it: bots answer on the page, and a stop leaves nothing behind."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BOT, PATIENCE, Toy

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
    proxy = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    return {**os.environ, **proxy, **{key: str(path) for key, path in folders.items()}}


def test_bots_answer_on_the_page_and_a_stop_leaves_nothing_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        (tmp_path / "told").open("w+") as told,
        subprocess.Popen(
            DEMO, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=told, text=True
        ) as demo,
    ):
        try:
            assert demo.stdout
            page = demo.stdout.readline().strip()
            assert page.startswith("http://127.0.0.1:")
            _say(page, "group", "Борис", f"@{BOT}_bot привет")
            _until(lambda: [sent for sent in _sent(page) if sent["room"] == "group"])
            assert {sent["bot"] for sent in _sent(page)} == {BOT, OTHER}
        finally:
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):  # an impatient user
                demo.send_signal(number)
            assert demo.wait(PATIENCE) == 0
    lines = (tmp_path / "told").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"\[ *\d+\.\d s\] \S.*", line) for line in lines)
    log = environment["DEMO_LOG"]
    assert lines[0].endswith("unborn is left out: no model of it is published")
    assert log in lines[1]
    events = [json.loads(line) for line in Path(log).read_text("utf-8").splitlines()]
    assert {each["service"] for each in events} == {"generation", "gateway", "sandbox"}
    assert not _left()


def test_on_telegram_a_token_is_asked_for_by_name(environment: dict[str, str]) -> None:
    done = _demo(environment, TELEGRAM="1")
    assert done.returncode == 2
    assert f"{BOT.upper()}_TOKEN" in done.stderr


def test_why_a_process_has_ended_is_told(environment: dict[str, str]) -> None:
    done = _demo(environment, TELEGRAM="1", AVTOBUS_TOKEN="no token")  # noqa: S106 (it is none)
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert told.startswith("error: gateway of avtobus has ended with exit code 2: TELEGRAM_TOKEN")


def test_a_log_that_cannot_be_written_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    done = _demo(environment, DEMO_LOG=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: DEMO_LOG {tmp_path}: cannot be written")


def test_two_demos_do_not_share_a_log(environment: dict[str, str]) -> None:
    with Path(environment["DEMO_LOG"]).open("ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        done = _demo(environment)
    assert done.returncode == 2
    assert "another demo logs there; name another file" in done.stderr


def _demo(environment: dict[str, str], **more: str) -> "subprocess.CompletedProcess[str]":
    """A demo that ends by itself."""
    return subprocess.run(
        DEMO, env={**environment, **more}, cwd=ROOT, capture_output=True, text=True, check=False
    )


def _say(page: str, chat: str, person: str, text: str) -> None:
    body = json.dumps({"chat": chat, "person": person, "text": text}).encode()
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{page}/api/messages", body, headers)).close()  # noqa: S310


def _sent(page: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{page}/admin/log") as answer:  # noqa: S310
        sent: list[dict[str, Any]] = json.load(answer)["sent"]
    return sent


def _until(holds: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _left() -> list[str]:
    """Processes of this test's demo that still run: its environment names its folder."""
    marks = (b"services.gateway", b"services.sandbox", b"services.generation")
    left = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environ = (folder / "environ").read_bytes()
        except OSError:
            continue
        if any(mark in command for mark in marks) and "Боты и модели".encode() in environ:
            left.append(command.decode(errors="replace"))
    return left
