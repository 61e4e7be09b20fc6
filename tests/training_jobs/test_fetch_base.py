"""A base is downloaded at the commit that is named, which the run and the version remember."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from contracts.settings import Volumes
from tests.training_jobs.conftest import write_gpt2
from training_jobs.language_model import find_base, load_model

ROOT = Path(__file__).parents[2]
NAME = "somebody/gpt"
OLD, NEW = "0" * 40, "1" * 40


class Hub(BaseHTTPRequestHandler):
    """The hub's API for one model; its newest commit is NEW, and each commit is served alike."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._folder = folder
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path.startswith(f"/api/models/{NAME}"):
            names = [{"rfilename": path.name} for path in self._folder.iterdir()]
            commit = self.path.partition("/revision/")[2] or NEW
            about = {"id": NAME, "sha": commit.partition("?")[0], "siblings": names}
            return self._answer(json.dumps(about).encode(), NEW)
        commit, _, name = self.path.partition("/resolve/")[2].partition("/")
        return self._answer((self._folder / name).read_bytes(), commit)

    do_HEAD = do_GET  # noqa: N815 (as the base class calls it)

    def _answer(self, body: bytes, commit: str) -> None:
        self.send_response(200)
        headers = {"content-length": len(body), "etag": '"1"', "x-repo-commit": commit}
        for name, value in {**headers, "content-type": "application/json"}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    folder = write_gpt2(tmp_path / "published")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("base", "commit"), [(f"{NAME}@{OLD}", OLD), (NAME, NEW)])
def test_a_base_is_fetched_at_its_commit(base: str, commit: str, hub: str, tmp_path: Path) -> None:
    own = {"HF_ENDPOINT": hub, "NO_PROXY": "127.0.0.1", "HF_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "training_jobs.fetch_base", "--base", base]
    environment = {**os.environ, **own, "BASE_DIR": str(tmp_path / "base")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    volumes = Volumes(base_dir=tmp_path / "base")
    assert load_model(find_base(base, volumes)).revision == commit
    with pytest.raises(Refusal, match=f"is of commit {commit}, not {'2' * 40}"):
        find_base(f"{NAME}@{'2' * 40}", volumes)
