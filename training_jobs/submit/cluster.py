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
from typing import Any

import typer

from contracts.clock import Clock
from contracts.refusal import Refusal

NAMESPACE = "persona-bots"
TIMEOUT = "20s"  # of a request
PATIENCE = 120  # seconds
USUAL_REASONS = (None, "ContainerCreating", "PodInitializing")
HIDDEN_FIELDS = frozenset({"event", "level", "service", "timestamp", "bot", "folder"})
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


class NotReady(Refusal):
    """The cluster is away, or a pod is kept from starting: both may pass."""


class JobFailed(Exception):
    """A step of the job ended with an error; the text names it."""


@dataclass(frozen=True)
class Cluster:
    """What kubectl's kubeconfig leads to."""

    clock: Clock

    def kubectl(self, *arguments: str, given: Resource | None = None) -> str:
        """Return what kubectl prints, nothing of what does not exist; raises Refusal."""
        line = command("--request-timeout", TIMEOUT, *arguments)
        text = json.dumps(given) if given else None
        done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
        if done.returncode and "(NotFound)" not in done.stderr:
            reason = what_is_wrong(done.stderr) or f"kubectl ended with code {done.returncode}"
            raise NotReady(reason) if AWAY.search(reason) else Refusal(reason)
        return done.stdout

    def get(self, kind: str, name: str) -> Resource | None:
        found = self.kubectl("get", kind, name, "-o", "json")
        return dict(json.loads(found)) if found else None

    def list(self, kind: str, selector: str) -> list[Resource]:
        return list(json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"])

    def watch(self, look: Callable[[], bool]) -> None:
        """Call `look` every second until it is true; raises NotReady if it did for PATIENCE."""
        ready_at, shown = self.clock.now(), ""
        while True:
            try:
                if look():
                    return
                ready_at = self.clock.now()
            except NotReady as error:
                if str(error) != shown:
                    shown = str(error)
                    typer.echo(f"waiting: {shown}")
                if self.clock.now() - ready_at >= PATIENCE:
                    raise
            asyncio.run(self.clock.sleep(1.0))

    def wait_until_running(self, name: str) -> None:
        """Raise NotReady if the pod is kept from starting, Refusal if it has ended."""

        def look() -> bool:
            pod = self.get("pod", name)
            if pod is None:
                raise Refusal(f"pod {name} has ended (somebody has deleted it)")
            if (phase := pod["status"].get("phase")) in ("Succeeded", "Failed"):
                raise Refusal(f"pod {name} has ended ({pod['status'].get('reason') or phase})")
            return _is_running(pod)

        self.watch(look)


def command(*arguments: str) -> list[str]:
    return ["kubectl", "-n", NAMESPACE, *arguments]


def what_is_wrong(errors: str) -> str:
    """Return the last line of kubectl's errors that says it."""
    lines = [line for line in errors.splitlines() if line.strip() and not NO_ERROR.match(line)]
    return lines[-1].removeprefix("error: ") if lines else ""


def follow(cluster: Cluster, bot: str, job: str) -> None:
    """Show the job's logs until it ends; raises JobFailed, or Refusal if a step cannot start."""
    shown: dict[str, dict[str, int]] = {}

    def look() -> bool:
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
            _show(cluster, pod, shown.setdefault(name, {}))
        if failed := ends(found).get("Failed"):
            raise _failure(pods, found, failed)
        if not ends(found) and pods:
            _is_running(pods[-1])
        return bool(ends(found))

    cluster.watch(look)
    typer.echo(f"{bot}: done")


def ends(job: Resource) -> Resource:
    """Return the condition that says how the job ended, by its type; empty before its end."""
    conditions = job["status"].get("conditions", ())
    return {c["type"]: c for c in conditions if c["status"] == "True" and c["type"] in ENDS}


def _steps(pod: Resource) -> list[Resource]:
    """Return the statuses of the pod's containers, in the order in which they run."""
    names = ("initContainerStatuses", "containerStatuses")
    return [step for name in names for step in pod["status"].get(name) or ()]


def _show(cluster: Cluster, pod: Resource, shown: dict[str, int]) -> None:
    """Show the new lines in the logs of the pod's steps; `shown` counts the lines of each."""
    for each in _steps(pod):
        step, has_ended = each["name"], "terminated" in each["state"]
        if ("running" in each["state"] or has_ended) and shown.get(step) != WHOLE:
            lines = cluster.kubectl("logs", pod["metadata"]["name"], "-c", step).splitlines()
            if step not in shown:
                typer.echo(f"{step}:")
            for line in lines[shown.get(step, 0) :]:
                typer.echo(f"  {readable(line)}")
            shown[step] = WHOLE if has_ended else len(lines)


def _is_running(pod: Resource) -> bool:
    """Return whether a step of the pod runs; raises NotReady where something keeps it from that."""
    steps, conditions = _steps(pod), pod["status"].get("conditions", ())
    if any("running" in step["state"] for step in steps):
        return True
    hindrances = [
        f"{each['reason']}: {each['message']}"
        for each in conditions
        if each["type"] == "PodScheduled" and each["status"] == "False"
    ]
    for step in steps:
        waits = step["state"].get("waiting", {})
        if waits.get("reason") not in USUAL_REASONS:
            hindrances.append(f"{step['name']}: {waits['reason']}: {waits.get('message')}")
    if hindrances:
        raise NotReady(f"pod {pod['metadata']['name']} does not start ({hindrances[0]})")
    return False


def readable(line: str) -> str:
    """Return a log line without the fields that every line has."""
    try:
        fields = json.loads(line)
        event = fields["event"]
    except (ValueError, TypeError, KeyError):
        return line
    level = "" if fields.get("level", "info") == "info" else f"{fields['level']}: "
    rest = (f"{name}={value}" for name, value in fields.items() if name not in HIDDEN_FIELDS)
    return " ".join((f"{level}{event}", *rest))


def _failure(pods: list[Resource], found: Resource, condition: Resource) -> JobFailed:
    """Return which step failed and its last line, which is in its logs only if these could be read.

    The deadline comes first: then the exit code is that of any pod told to end.
    """
    job = found["metadata"]["name"]
    if condition["reason"] == "DeadlineExceeded":
        hours = found["spec"]["activeDeadlineSeconds"] / 3600
        what = f"{job}: stopped at its deadline, after {hours:g} hours"
        return JobFailed(f"{what}; what was trained is kept: submit again, and training goes on")
    for step in (step for pod in reversed(pods) for step in _steps(pod)):
        end = step["state"].get("terminated", {})
        if code := end.get("exitCode"):
            last = (end.get("message") or "").strip().rpartition("\n")[2]
            why = f"exit code {code}, {end['reason']}"
            return JobFailed(f"{job}: {step['name']} failed ({why}): {readable(last)}")
    return JobFailed(f"{job}: failed ({condition['reason']}: {condition['message']})")
