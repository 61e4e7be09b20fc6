"""A stand-in for a cluster: an API server over real HTTP, and a kubectl that runs what it is given.

Created objects are checked against the published schemas. Time passes only when the command waits:
then the next step of `play` happens.
"""

import asyncio
import json
import re
import sys
import threading
from collections.abc import Iterator
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
TICK_SECONDS = 10.0
KUBECTL = """\
import os, pathlib, subprocess, sys

here = pathlib.Path(__file__).parents[1]
end = sys.argv.index("--")
(here / "kubectl.log").write_text(" ".join([os.environ["KUBECONFIG"], *sys.argv[1:end]]))
command = [f"{here}{each}" if each.startswith("/data") else each for each in sys.argv[end + 1 :]]
path = {"PATH": f"{here}/pod:/usr/bin:/bin"}
data = sys.stdin.buffer.read()
code = subprocess.run(command, input=data, env=path, start_new_session=True).returncode
if code > 0:
    print('E1129 10:59:16.996725 25412 v2.go:104] "Unhandled Error"', file=sys.stderr)
    sys.exit(f"command terminated with exit code {code}")
# as the real one, it does not notice that the pod is gone
"""


def state(reason: str = "", message: str | None = None, code: int | None = None) -> Resource:
    """Return the state of a container: running, waiting for a reason, or ended with a code."""
    if code is not None:
        return {"terminated": {"reason": reason, "message": message, "exitCode": code}}
    return {"waiting": {"reason": reason, "message": message}} if reason else {"running": {}}


class StandIn:
    """The cluster, which is also a clock.

    Its folder has the volume's data/, kubectl in bin/, and in pod/ programs that replace those of
    the image.
    """

    def __init__(self, folder: Path, cronjobs: list[Resource]) -> None:
        self.folder = folder
        by_name = {each["metadata"]["name"]: each for each in cronjobs}
        self.kept: dict[str, dict[str, Resource]] = {"pods": {}, "jobs": {}, "cronjobs": by_name}
        self.logs: dict[tuple[str, str], list[str]] = {}
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}
        """Status and message of the answer, by method and kind of object."""
        self.requests = self.away = self.waits = 0
        """Requests so far; requests that will get 503; how often the command has waited."""
        self.drop = False
        """Whether the connection breaks in the next log."""
        self.play: Iterator[None] = iter(())
        self.upload_state, self.upload_status = state(), Resource()
        self.program("bin/kubectl", KUBECTL, sys.executable)

    def program(self, name: str, script: str, interpreter: str = "/bin/sh") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{interpreter}\n{script}\n")
        path.chmod(0o755)

    def command(self, *arguments: object) -> Result:
        """Run the command for avtobus, with the stand-in's time."""
        return CliRunner().invoke(app, ["--bot", "avtobus", *map(str, arguments)], obj=self)

    # time

    def now(self) -> float:
        return self.waits * TICK_SECONDS

    async def sleep(self, seconds: float) -> None:
        self.tick()
        await asyncio.sleep(0)

    def tick(self) -> None:
        self.waits += 1
        assert self.waits < 500, "the command waits for ever"
        next(self.play, None)

    # what a test does to the cluster

    def start_pod(self) -> Resource:
        """Create a pod of the newest job."""
        [*_, job] = self.kept["jobs"]
        name, labels = f"{job}-{len(self.kept['pods'])}", {"batch.kubernetes.io/job-name": job}
        time = f"2026-01-01T00:{len(self.kept['pods']):02}:00Z"
        self.kept["pods"][name] = {
            "metadata": {"name": name, "labels": labels, "creationTimestamp": time},
            "spec": self.kept["jobs"][job]["spec"]["template"]["spec"],
            "status": {"phase": "Pending"},
        }
        return self.kept["pods"][name]

    def put(self, pod: Resource, step: str, now: Resource) -> None:
        """Set the state of a container."""
        initial = step in [each["name"] for each in pod["spec"].get("initContainers") or ()]
        statuses = "initContainerStatuses" if initial else "containerStatuses"
        others = [each for each in pod["status"].get(statuses, ()) if each["name"] != step]
        one = {"name": step, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        pod["status"][statuses] = [*others, {**one, "state": now}]
        pod["status"]["phase"] = "Pending" if "waiting" in now else "Running"

    def log(self, pod: Resource, step: str, line: str | Resource) -> None:
        text = line if isinstance(line, str) else json.dumps(line)
        self.logs.setdefault((pod["metadata"]["name"], step), []).append(f"{text}\n")

    def finish(self, kind: str = "Complete", reason: str = "", message: str = "") -> None:
        [*_, job] = self.kept["jobs"].values()
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        job["status"] = {"conditions": [condition]}

    # what it answers

    def answer(self, method: str, path: str, query: Resource, body: str) -> tuple[int, Any]:
        """Return the status, and an object or a text."""
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
        self.kept[kind][name] = {**body, "status": {}}
        if kind == "pods":
            self.put(self.kept[kind][name], "upload", self.upload_state)
            self.kept[kind][name]["status"].update(self.upload_status)
        return self.kept[kind][name]


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
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, answer = standin.answer(self.command, url.path, parse_qs(url.query), body)
            is_log = isinstance(answer, str)
            data = (answer if is_log else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if is_log else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            breaks, standin.drop = is_log and standin.drop, standin.drop and not is_log
            self.wfile.write(data[: len(data) // 2] if breaks else data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
