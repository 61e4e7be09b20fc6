"""The cluster: how to reach it, what its errors mean, and how to follow a job to its end.

A followed job is read anew every second, so that a lost connection or a replaced pod does no harm.
`Any` stands for a model of the kubernetes client, which has no types.
"""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import typer
import yaml
from kubernetes.client import ApiException, BatchV1Api, Configuration, CoreV1Api
from kubernetes.config import ConfigException, new_client_from_config
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from contracts.clock import Clock
from contracts.refusal import EXIT_CODE, Refusal
from contracts.retry import retry

K3S = Path("/etc/rancher/k3s/k3s.yaml")
TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
PATIENCE = 120  # seconds
SLOW_START_PATIENCE = 1200  # seconds; a pod without a visible problem may be pulling its image
USUAL_REASONS = (None, "ContainerCreating", "PodInitializing")
RIGHTS = "docs/operate.md says which rights it takes"
HIDDEN_FIELDS = frozenset({"event", "level", "service", "timestamp", "bot", "folder"})
LAST_LINES = 5
WHOLE = -1  # stands for the number of lines of a log that is complete
ENDS = ("Complete", "Failed")

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
    core: CoreV1Api
    batch: BatchV1Api
    namespace: str
    context: str | None
    kubeconfig: str
    clock: Clock

    def kubectl(self, *arguments: str) -> list[str]:
        context = ("--context", self.context) if self.context else ()
        return ["kubectl", *context, "-n", self.namespace, *arguments]

    def ask(self, call: Callable[..., Any], **options: object) -> Any:
        """Return the answer, None for an object that does not exist. Raises NotReady."""
        host = self.core.api_client.configuration.host
        try:
            answer = call(namespace=self.namespace, _request_timeout=TIMEOUT, **options)
            return answer.data if isinstance(answer, HTTPResponse) else answer
        except HTTPError as error:
            reason = str(error.args[-1]).rpartition(": ")[2]
            hint = f"is the cluster up, and is {self.kubeconfig} its kubeconfig?"
            raise NotReady(f"{host} does not answer ({reason}); {hint}", PATIENCE) from None
        except ApiException as error:
            if error.status == 404:
                return None
            hints = {401: f"; renew the credentials in {self.kubeconfig}", 403: f"; {RIGHTS}"}
            text = f"{host}: {_message(error)}{hints.get(error.status, '')}"
            is_away = error.status == 429 or error.status >= 500
            raise NotReady(text, PATIENCE if is_away else 0) from None

    def watch(self, look: Callable[[], Awaitable[None]]) -> None:
        """Call `look` every second while it raises NotReady, until the error's patience ends.

        A pod that starts slowly shows that the cluster is back, a job at work that its pod runs:
        an error ends those of less patience, which are timed anew when they come again.
        """
        since, shown = dict[float, float](), ""
        handler = signal.getsignal(signal.SIGINT)

        def policy(error: Exception, attempt: int) -> float | None:
            nonlocal since, shown
            patience = error.patience if isinstance(error, NotReady) else 0
            since = {each: began for each, began in since.items() if each >= patience}
            began = since.setdefault(patience, self.clock.now())
            if patience == PATIENCE and str(error) != shown:
                shown = str(error)
                typer.echo(f"waiting: {shown}")
            return 1.0 if self.clock.now() - began < patience else None

        async def look_until_ready() -> None:
            signal.signal(signal.SIGINT, handler)  # asyncio's own waits for the end of a call
            await retry(look, self.clock, policy)

        asyncio.run(look_until_ready())

    def wait_until_running(self, name: str) -> None:
        """Raise NotReady if the pod does not start, Refusal if it has ended."""

        async def look() -> None:
            pod = self.ask(self.core.read_namespaced_pod, name=name)
            if pod is None or pod.status.phase in ("Succeeded", "Failed"):
                reason = pod and (pod.status.reason or pod.status.phase)
                raise Refusal(f"pod {name} has ended ({reason or 'somebody has deleted it'})")
            _check_start(pod)

        self.watch(look)


def _message(error: Any) -> str:
    with suppress(TypeError, ValueError, KeyError):
        return str(json.loads(error.body)["message"])
    return " ".join(str(error.reason).split())


def connect(kubeconfig: str | None, namespace: str, context: str | None, clock: Clock) -> Cluster:
    """Read the kubeconfig, else the user's, else that of k3s. Raises Refusal."""
    usual = Path("~/.kube/config").expanduser()
    files = [str(path) for path in (usual, K3S) if os.access(path, os.R_OK)]
    if not (source := kubeconfig or next(iter(files), "")):
        raise Refusal(
            f"{usual}: no such kubeconfig; set KUBECONFIG, or on the server itself:"
            f" mkdir -p ~/.kube && sudo cat {K3S} > ~/.kube/config"
        )
    configuration = Configuration()
    configuration.retries = False  # urllib3 would print a warning for each
    try:
        # False: never write renewed credentials into the owner's file
        client = new_client_from_config(source, context, False, configuration)
    except (ConfigException, OSError, yaml.YAMLError) as error:
        raise Refusal(f"{source}: {' '.join(str(error).split())}") from None
    return Cluster(CoreV1Api(client), BatchV1Api(client), namespace, context, source, clock)


def follow(cluster: Cluster, bot: str, job: str) -> None:
    """Show the job's logs until it ends, then its figures and the version that serves.

    Raises JobFailed, or Refusal if a step refused its input or cannot start.
    """
    events: LogEvents = {}
    shown: dict[str, dict[str, int]] = {}

    async def look() -> None:
        # the job is read before its pods, so that the last look shows the rest of their logs
        found = cluster.ask(cluster.batch.read_namespaced_job, name=job)
        if found is None:
            raise Refusal(f"job {job}: somebody has deleted it")
        selector = f"batch.kubernetes.io/job-name={job}"
        pods = cluster.ask(cluster.core.list_namespaced_pod, label_selector=selector).items
        pods.sort(key=lambda pod: pod.metadata.creation_timestamp)
        for pod in pods:
            name = pod.metadata.name
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


def ends(job: Any) -> dict[str, Any]:
    """Return the condition that says how the job ended, by its type; empty before its end."""
    return {c.type: c for c in job.status.conditions or () if c.status == "True" and c.type in ENDS}


def _steps(pod: Any) -> tuple[Any, ...]:
    """Return the statuses of the pod's containers, in the order in which they run."""
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


def _show(cluster: Cluster, pod: Any, shown: dict[str, int], events: LogEvents) -> None:
    """Show the new lines in the logs of the pod's steps; `shown` counts the lines of each."""
    for each in _steps(pod):
        step, has_ended = each.name, each.state.terminated is not None
        if (each.state.running or has_ended) and shown.get(step) != WHOLE:
            options = {"name": pod.metadata.name, "container": step, "_preload_content": False}
            log = cluster.ask(cluster.core.read_namespaced_pod_log, **options) or b""
            if step not in shown:
                typer.echo(f"{step}:")
            lines = log.decode("utf-8", "replace").splitlines()
            for line in lines[shown.get(step, 0) :]:
                text, event = parse(line)
                events |= event
                typer.echo(f"  {text}")
            shown[step] = WHOLE if has_ended else len(lines)


def _check_start(pod: Any) -> None:
    """Raise NotReady while no step of the pod runs."""
    unmet = (each for each in pod.status.conditions or () if each.status == "False")
    hindrances = [f"{c.reason}: {c.message}" for c in unmet if c.type == "PodScheduled"]
    for step in _steps(pod):
        if step.state.running:
            return
        if (waits := step.state.waiting) and waits.reason not in USUAL_REASONS:
            hindrances.append(f"{step.name}: {waits.reason}: {waits.message}")
    reason = next(iter(hindrances), "kubectl describe pod says why")
    text = f"pod {pod.metadata.name} does not start ({reason})"
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


def _failure(pods: list[Any], found: Any, condition: Any) -> Exception:
    """Return why the job failed: a Refusal if its last failed step refused its input."""
    job = found.metadata.name
    if condition.reason == "DeadlineExceeded":  # the exit code is that of any pod told to end
        hours = found.spec.active_deadline_seconds / 3600
        what = f"error: {job}: stopped at its deadline, after {hours:g} hours"
        return JobFailed(f"{what}; what was trained is kept: submit again, and training goes on")
    for pod in reversed(pods):
        for step in _steps(pod):
            if (end := step.state.terminated) and end.exit_code:
                lines = [parse(each)[0] for each in (end.message or "").strip().splitlines()]
                if end.exit_code == EXIT_CODE and lines:
                    return Refusal(f"{job}: {step.name}: {lines[-1].removeprefix('error: ')}")
                text = f"error: {job}: {step.name} failed (exit code {end.exit_code}, {end.reason})"
                return JobFailed("\n".join((*lines[-LAST_LINES:], text)))
    return JobFailed(f"error: {job}: failed ({condition.reason}: {condition.message})")
