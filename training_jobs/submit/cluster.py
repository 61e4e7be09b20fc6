"""The cluster, by kubectl: what its errors mean, and how to follow a job to its end.

A followed job is read anew every second, so that a lost connection or a replaced pod does no harm.
Objects of the cluster are the JSON that kubectl prints.
"""

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import typer

from contracts.clock import Clock
from contracts.refusal import EXIT_CODE, Refusal

TIMEOUT = "20s"  # of a request
PATIENCE = 120  # seconds
SLOW_START_PATIENCE = 1200  # seconds; a pod without a visible problem may be pulling its image
USUAL_REASONS = (None, "ContainerCreating", "PodInitializing")
HIDDEN_FIELDS = frozenset({"event", "level", "service", "timestamp", "bot", "folder"})
LAST_LINES = 5
WHOLE = -1  # stands for the number of lines of a log that is complete
ENDS = ("Complete", "Failed")
AWAY = re.compile(
    r"connect|timeout|timed out|EOF|from server: "
    r"|\((ServiceUnavailable|TooManyRequests|InternalError|Timeout|ServerTimeout)\)",
    re.IGNORECASE,
)
"""What kubectl says where the cluster may answer soon."""
NO_ERROR = re.compile(r"command terminated with|[EFIW]\d{4} ")
"""Lines of kubectl's that do not say what is wrong."""

Resource = dict[str, Any]
LogEvents = dict[str, dict[str, object]]  # the fields of the last log line of each event


class NotReady(Refusal):
    """The cluster is away, or a pod does not start: worth retrying for `patience` seconds."""

    def __init__(self, text: str, patience: float) -> None:
        super().__init__(text)
        self.patience = patience


class JobFailed(Exception):
    """A step of the job ended with an error; the text has its last lines and its name."""


@dataclass(frozen=True)
class Cluster:
    namespace: str
    context: str | None
    clock: Clock

    def command(self, *arguments: str) -> list[str]:
        context = ("--context", self.context) if self.context else ()
        return ["kubectl", *context, "-n", self.namespace, *arguments]

    def kubectl(self, *arguments: str, given: Resource | None = None) -> str:
        """Return what kubectl prints, nothing of what does not exist; raises NotReady."""
        command = self.command("--request-timeout", TIMEOUT, *arguments)
        text = json.dumps(given) if given else None
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode and "(NotFound)" not in done.stderr:
            reason = what_is_wrong(done.stderr) or f"kubectl ended with code {done.returncode}"
            raise NotReady(reason, PATIENCE if AWAY.search(reason) else 0)
        return done.stdout

    def get(self, kind: str, name: str) -> Resource | None:
        found = self.kubectl("get", kind, name, "-o", "json")
        return dict(json.loads(found)) if found else None

    def list(self, kind: str, selector: str) -> list[Resource]:
        return list(json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"])

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` every second while it raises NotReady, until the error's patience ends.

        It begins anew with an error of another patience: a pod that starts slowly shows that the
        cluster is back, a job at work that its pod runs.
        """
        patience, began, shown = 0.0, 0.0, ""
        while True:
            try:
                return look()
            except NotReady as error:
                if error.patience != patience:
                    patience, began = error.patience, self.clock.now()
                if patience == PATIENCE and str(error) != shown:
                    shown = str(error)
                    typer.echo(f"waiting: {shown}")
                if self.clock.now() - began >= patience:
                    raise
            asyncio.run(self.clock.sleep(1.0))

    def wait_until_running(self, name: str) -> None:
        """Raise NotReady if the pod does not start, Refusal if it has ended."""

        def look() -> None:
            pod = self.get("pod", name)
            if pod is None:
                raise Refusal(f"pod {name} has ended (somebody has deleted it)")
            if (phase := pod["status"].get("phase")) in ("Succeeded", "Failed"):
                raise Refusal(f"pod {name} has ended ({pod['status'].get('reason') or phase})")
            _check_start(pod)

        self.watch(look)


def what_is_wrong(errors: str) -> str:
    """Return the last line of kubectl's errors that says it."""
    lines = [line for line in errors.splitlines() if line.strip() and not NO_ERROR.match(line)]
    return lines[-1].removeprefix("error: ") if lines else ""


def follow(cluster: Cluster, bot: str, job: str) -> None:
    """Show the job's logs until it ends, then its figures and the version that serves.

    Raises JobFailed, or Refusal if a step refused its input or cannot start.
    """
    events: LogEvents = {}
    shown: dict[str, dict[str, int]] = {}

    def look() -> None:
        # the job is read before its pods, so that the last look shows the rest of their logs
        found = cluster.get("job", job)
        if found is None:
            raise Refusal(f"job {job}: somebody has deleted it")
        pods = cluster.list("pods", f"batch.kubernetes.io/job-name={job}")
        pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        for pod in pods:
            name = pod["metadata"]["name"]
            if shown and name not in shown:
                typer.echo(f"another pod goes on: {name}")
            _show(cluster, pod, shown.setdefault(name, {}), events)
        if failed := ends(found).get("Failed"):
            raise _failure(pods, found, failed)
        if not ends(found):
            for pod in pods[-1:]:
                _check_start(pod)
            raise NotReady(f"{job} is at work", inf)

    cluster.watch(look)
    for name, value in events.get("evaluated", {}).items():
        if isinstance(value, float):
            typer.echo(f"{name}: {value:.4g}")
    version = events.get("published", {}).get("version")
    typer.echo(f"{bot}: version {version} serves" if version else f"{bot}: done")


def ends(job: Resource) -> Resource:
    """Return the condition that says how the job ended, by its type; empty before its end."""
    conditions = job["status"].get("conditions", ())
    return {c["type"]: c for c in conditions if c["status"] == "True" and c["type"] in ENDS}


def _steps(pod: Resource) -> list[Resource]:
    """Return the statuses of the pod's containers, in the order in which they run."""
    names = ("initContainerStatuses", "containerStatuses")
    return [step for name in names for step in pod["status"].get(name) or ()]


def _show(cluster: Cluster, pod: Resource, shown: dict[str, int], events: LogEvents) -> None:
    """Show the new lines in the logs of the pod's steps; `shown` counts the lines of each."""
    for each in _steps(pod):
        step, has_ended = each["name"], "terminated" in each["state"]
        if ("running" in each["state"] or has_ended) and shown.get(step) != WHOLE:
            lines = cluster.kubectl("logs", pod["metadata"]["name"], "-c", step).splitlines()
            if step not in shown:
                typer.echo(f"{step}:")
            for line in lines[shown.get(step, 0) :]:
                text, event = parse(line)
                events |= event
                typer.echo(f"  {text}")
            shown[step] = WHOLE if has_ended else len(lines)


def _check_start(pod: Resource) -> None:
    """Raise NotReady while no step of the pod runs."""
    conditions = pod["status"].get("conditions", ())
    unmet = [each for each in conditions if each["status"] == "False"]
    hindrances = [
        f"{each['reason']}: {each['message']}" for each in unmet if each["type"] == "PodScheduled"
    ]
    for step in _steps(pod):
        if "running" in step["state"]:
            return
        waits = step["state"].get("waiting", {})
        if waits.get("reason") not in USUAL_REASONS:
            hindrances.append(f"{step['name']}: {waits['reason']}: {waits.get('message')}")
    reason = next(iter(hindrances), "kubectl describe pod says why")
    text = f"pod {pod['metadata']['name']} does not start ({reason})"
    raise NotReady(text, PATIENCE if hindrances else SLOW_START_PATIENCE)


def parse(line: str) -> tuple[str, LogEvents]:
    """Return a log line without the fields that every line has, and its event, if any."""
    try:
        fields = json.loads(line)
        event = str(fields["event"])
    except (ValueError, TypeError, KeyError):
        return line, {}
    level = "" if fields.get("level", "info") == "info" else f"{fields['level']}: "
    rest = (f"{name}={value}" for name, value in fields.items() if name not in HIDDEN_FIELDS)
    return " ".join((f"{level}{event}", *rest)), {event: fields}


def _failure(pods: list[Resource], found: Resource, condition: Resource) -> Exception:
    """Return why the job failed: a Refusal if its last failed step refused its input."""
    job = found["metadata"]["name"]
    if condition["reason"] == "DeadlineExceeded":  # the exit code is that of any pod told to end
        hours = found["spec"]["activeDeadlineSeconds"] / 3600
        what = f"error: {job}: stopped at its deadline, after {hours:g} hours"
        return JobFailed(f"{what}; what was trained is kept: submit again, and training goes on")
    for pod in reversed(pods):
        for step in _steps(pod):
            end, name = step["state"].get("terminated", {}), step["name"]
            if code := end.get("exitCode"):
                lines = [parse(each)[0] for each in end.get("message", "").strip().splitlines()]
                if code == EXIT_CODE and lines:
                    return Refusal(f"{job}: {name}: {lines[-1].removeprefix('error: ')}")
                text = f"error: {job}: {name} failed (exit code {code}, {end['reason']})"
                return JobFailed("\n".join((*lines[-LAST_LINES:], text)))
    return JobFailed(f"error: {job}: failed ({condition['reason']}: {condition['message']})")
