"""A fake cluster: an API server over real HTTP, and a kubectl that runs commands on this machine.

Created objects are checked against the published schemas. Time passes only when the command waits;
each wait runs the next step of `play`.
"""

import asyncio
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
from click.testing import Result
from typer.testing import CliRunner

from training_jobs.submit.__main__ import app

Resource = dict[str, Any]
PATH = re.compile(r"/(?:api|apis/batch)/v1/namespaces/[\w-]+/(\w+)(?:/([\w-]+)(/log)?)?")
JOB = "learn-avtobus-1"
KUBECTL = """\
import os, pathlib, subprocess, sys

here = pathlib.Path(__file__).parents[1]
end = sys.argv.index("--")
(here / "kubectl.log").write_text(" ".join([os.environ["KUBECONFIG"], *sys.argv[1:end]]))
command = [f"{here}{each}" if each.startswith("/data") else each for each in sys.argv[end + 1 :]]
path = {"PATH": f"{here}/pod:/usr/bin:/bin"}
done = subprocess.run(command, input=sys.stdin.buffer.read(), env=path, start_new_session=True)
if done.returncode > 0:
    print('E1129 10:59:16.996725 25412 v2.go:104] "Unhandled Error"', file=sys.stderr)
    sys.exit(f"command terminated with exit code {done.returncode}")
# like the real kubectl, it does not notice that the pod is gone
"""


def state(reason: str = "", message: str | None = None, code: int | None = None) -> Resource:
    """Return a container's state: running, waiting for a reason, or ended with an exit code."""
    if code is not None:
        return {"terminated": {"reason": reason, "message": message, "exitCode": code}}
    return {"waiting": {"reason": reason, "message": message}} if reason else {"running": {}}


class StandIn:
    """The cluster, which is also a clock.

    Its folder has an export, the volume's data/, kubectl in bin/, and in pod/ the programs that
    replace those of the image.
    """

    def __init__(self, folder: Path, cronjobs: dict[str, Resource]) -> None:
        self.folder, self.export = folder, folder / "result.json"
        self.export.write_bytes(b'{"chats": "' + bytes(range(256)) * 4096 + b'"}')
        self.kept: dict[str, dict[str, Resource]] = {"pods": {}, "jobs": {}, "cronjobs": cronjobs}
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}
        """Status and message of the answer, by method and kind of object."""
        self.requests = self.away = self.waits = 0
        """Requests so far; how many more get 503; how often the command has waited."""
        self.drop = False
        """Whether the connection breaks in the middle of the next log."""
        self.play: Iterator[None] = iter(())
        self.upload_state, self.upload_status = state(), Resource()
        self.program("bin/kubectl", KUBECTL, sys.executable)

    def program(self, name: str, script: str, interpreter: str = "/bin/sh") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{interpreter}\n{script}\n")
        path.chmod(0o755)

    def command(self, *arguments: object) -> Result:
        """Run the command for avtobus with this clock."""
        return CliRunner().invoke(app, ["--bot", "avtobus", *map(str, arguments)], obj=self)

    def submit(self, *arguments: object) -> Result:
        return self.command("--export", self.export, *arguments)

    def follow(self, play: Iterable[None] = ()) -> Result:
        """Follow JOB while the play happens."""
        self.play = iter(play)
        return self.command("--follow", JOB)

    # time

    def now(self) -> float:
        return self.waits * 10.0

    async def sleep(self, seconds: float) -> None:
        self.waits += 1
        assert self.waits < 500, "the command waits for ever"
        next(self.play, None)
        await asyncio.sleep(0)

    # events in the cluster

    def interrupt(self) -> Iterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGINT)

    def start_pod(self) -> Resource:
        """Create a pod of the newest job."""
        [*_, job] = self.kept["jobs"]
        name, labels = f"{job}-{len(self.kept['pods'])}", {"batch.kubernetes.io/job-name": job}
        time = f"2026-01-01T00:{len(self.kept['pods']):02}:00Z"
        self.kept["pods"][name] = {
            "metadata": {"name": name, "labels": labels, "creationTimestamp": time},
            "spec": self.kept["jobs"][job]["spec"]["template"]["spec"],
            "status": {},
        }
        return self.kept["pods"][name]

    def put(self, pod: Resource, step: str, now: Resource) -> None:
        """Set the state of a container."""
        initial = step in [each["name"] for each in pod["spec"].get("initContainers") or ()]
        statuses = "initContainerStatuses" if initial else "containerStatuses"
        others = [each for each in pod["status"].get(statuses, ()) if each["name"] != step]
        one = {"name": step, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        pod["status"][statuses] = [*others, {**one, "state": now}]

    def log(self, pod: Resource, step: str, line: str | Resource) -> None:
        text = line if isinstance(line, str) else json.dumps(line)
        self.logs.setdefault((pod["metadata"]["name"], step), []).append(f"{text}\n")

    def finish(self, kind: str = "Complete", reason: str = "", message: str = "") -> None:
        [*_, job] = self.kept["jobs"].values()
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        job["status"] = {"conditions": [condition]}

    # the API server

    def answer(self, method: str, path: str, query: Resource, body: str) -> tuple[int, Any]:
        """Return the status, and an object or a log's text."""
        found = PATH.fullmatch(path)
        assert found, path
        kind, name, log = found.groups()
        kept = self.kept[kind]
        self.requests += 1
        if refusal := self.refusals.get((method, kind)):
            return refusal[0], {"message": refusal[1]}
        if self.away:
            self.away -= 1
            return 503, {"message": "the server is currently unable to handle the request"}
        if method == "POST":
            return 201, self._create(kind, json.loads(body))
        if name is None:
            [selector] = query["labelSelector"]
            return 200, {"items": [each for each in kept.values() if _is_selected(selector, each)]}
        if name not in kept:
            return 404, {"message": f'{kind} "{name}" not found'}
        if log:
            return 200, "".join(self.logs.get((name, query["container"][0]), []))
        return 200, kept.pop(name) if method == "DELETE" else kept[name]

    def _create(self, kind: str, body: Resource) -> Resource:
        kubernetes_validate.validate(body, "1.36", strict=True)
        name = body["metadata"]["name"]
        assert name not in self.kept[kind]
        new = self.kept[kind][name] = {**body, "status": {}}
        if kind == "pods":
            self.put(new, "upload", self.upload_state)
            new["status"].update(self.upload_status)
        return new


def _is_selected(selector: str, thing: Resource) -> bool:
    """Tell whether the labels match terms like `a=b` and `a in (b, c)`."""
    terms = re.findall(r"([\w./-]+)(?:=([\w-]+)| in \(([\w, -]+)\))", selector)
    assert terms
    labels = thing["metadata"]["labels"]
    return all(labels.get(key) in (one or some).split(", ") for key, one, some in terms)


@contextmanager
def served(standin: StandIn) -> Iterator[str]:
    """Run the API server in a thread inside the block, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, answer = standin.answer(self.command, url.path, parse_qs(url.query), body)
            is_log = isinstance(answer, str)
            data = (answer if is_log else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            breaks, standin.drop = is_log and standin.drop, standin.drop and not is_log
            self.wfile.write(data[: len(data) // 2] if breaks else data)

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
