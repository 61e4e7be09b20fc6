"""A fake cluster behind a fake kubectl, whose `exec` runs commands on this machine.

Created pods are checked against the published schemas. Time passes only when the command waits;
each wait runs the next step of `play`.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
from click.testing import Result
from typer.testing import CliRunner

from training_jobs.submit.__main__ import app
from training_jobs.submit.cluster import TIMEOUT

Completed = subprocess.CompletedProcess[str]
Resource = dict[str, Any]
JOB = "learn-avtobus-1"
NOISE = 'E1129 10:59:16.996725 25412 memcache.go:265] "Unhandled Error"\n'
UNAVAILABLE = "ServiceUnavailable): the server is currently unable to handle the request"
KUBECTL = """\
import os, pathlib, subprocess, sys

here = pathlib.Path(__file__).parents[1]
end = sys.argv.index("--")
(here / "kubectl.log").write_text(" ".join(sys.argv[1:end]))
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
        self.calls: list[tuple[str, str]] = []
        """Verb and kind of object of each call."""
        self.refusals: dict[tuple[str, str], str] = {}
        """Errors, by verb and kind of object."""
        self.away = self.waits = 0
        """How many more calls find no cluster; how often the command has waited."""
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

    # kubectl, but for `exec`

    def run(self, command: list[str], input: str | None, **_: object) -> Completed:
        """Answer as kubectl does: what it prints, or an error and the exit code 1."""
        verb, kind, *words = command[command.index(TIMEOUT) + 1 :]
        kind = "logs" if verb == "logs" else "pod" if kind == "-f" else kind.removesuffix("s")
        self.calls.append((verb, kind))
        if self.away:
            self.away -= 1
            return Completed(command, 1, "", f"{NOISE}Error from server ({UNAVAILABLE}")
        if error := self.refusals.get((verb, kind)):
            return Completed(command, 1, "", f"{error}\n")
        if verb == "logs":
            broken, self.drop = self.drop, False
            lines = "".join(self.logs.get((command[-3], command[-1]), []))
            return Completed(command, int(broken), lines, "error: unexpected EOF" * broken)
        return self._of_objects(command, verb, kind, words, input)

    def _of_objects(
        self, command: list[str], verb: str, kind: str, words: list[str], given: str | None
    ) -> Completed:
        kept = self.kept[f"{kind}s"]
        if verb == "create":
            self._create(kind, words, given)
            return Completed(command, 0, "", "")
        if words[0] == "-l":
            items = [each for each in kept.values() if _is_selected(words[1], each)]
            return Completed(command, 0, json.dumps({"items": items}), "")
        if words[0] not in kept:
            return Completed(command, 1, "", f'Error from server (NotFound): "{words[0]}"')
        found = kept.pop(words[0]) if verb == "delete" else kept[words[0]]
        return Completed(command, 0, json.dumps(found), "")

    def _create(self, kind: str, words: list[str], given: str | None) -> None:
        if kind == "job":
            name, cronjob = words[0], words[1].removeprefix("--from=cronjob/")
            template = self.kept["cronjobs"][cronjob]["spec"]["jobTemplate"]
            metadata = {**template["metadata"], "name": name}
            new: Resource = {"metadata": metadata, "spec": template["spec"]}
        else:
            new = json.loads(given or "")
            kubernetes_validate.validate(new, "1.36", strict=True)
            name = new["metadata"]["name"]
        assert name not in self.kept[f"{kind}s"]
        new["status"] = {}
        self.kept[f"{kind}s"][name] = new
        if kind == "pod":
            self.put(new, "upload", self.upload_state)
            new["status"].update(self.upload_status)


def _is_selected(selector: str, thing: Resource) -> bool:
    """Tell whether the labels match terms like `a=b` and `a in (b, c)`."""
    terms = re.findall(r"([\w./-]+)(?:=([\w-]+)| in \(([\w, -]+)\))", selector)
    assert terms
    labels = thing["metadata"]["labels"]
    return all(labels.get(key) in (one or some).split(", ") for key, one, some in terms)
