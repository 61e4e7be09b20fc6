"""The base model comes from the hub once: its client is real, the hub a stand-in over HTTP."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from training_jobs.fetch_base import app

NAME, COMMIT = "owner/small", "c" * 40
FILES = "/{repo_id}/resolve/{revision}/{filename}"


@contextmanager
def hub(model: Path) -> Iterator[str]:
    """Serves a model's folder as the hub does; yields its address."""
    files = [{"rfilename": path.name} for path in model.iterdir()]
    facts = {"private": False, "tags": [], "downloads": 0}
    listing = model.with_name("listing.json")
    listing.write_text(json.dumps({"id": NAME, "sha": COMMIT, "siblings": files, **facts}))

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            is_listing = path.startswith(f"/api/models/{NAME}")
            return str(listing if is_listing else model / Path(urlsplit(path).path).name)

        def end_headers(self) -> None:
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{Path(self.translate_path(self.path)).name}"')
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def fetched(rugpt3: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Runs the job, with a hub that has the model and with none."""
    monkeypatch.setenv("BASE_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def run(reachable: bool = True) -> Any:
        with hub(rugpt3) as endpoint:
            place = endpoint if reachable else f"{endpoint}0"
            monkeypatch.setattr(constants, "ENDPOINT", place)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", place + FILES)
            return CliRunner().invoke(app, ["--base", NAME])

    return run


def test_a_base_is_fetched_whole_and_then_wants_no_hub(
    rugpt3: Path, tmp_path: Path, fetched: Callable[..., Any]
) -> None:
    first = fetched()
    assert first.exit_code == 0, first.stderr
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name == "owner--small"
    assert {path.name for path in kept.iterdir()} == {path.name for path in rugpt3.iterdir()}
    assert fetched(reachable=False).exit_code == 0


@pytest.mark.parametrize("missing", ["config.json", "pytorch_model.bin"])
def test_what_is_no_model_is_refused_in_one_line(
    rugpt3: Path, fetched: Callable[..., Any], missing: str
) -> None:
    (rugpt3 / missing).unlink()
    done = fetched()
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("error: ")
