"""Waits for pods and jobs of a cluster, and shows what they log. It asks again and again instead of
watching, which survives a lost connection and a replaced pod alike.

    JobFailed      a step ended with an error: its last lines
    NotStarting    a Refusal: what keeps a pod from starting
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubernetes.client import ApiClient, ApiException, BatchV1Api, CoreV1Api
from urllib3.exceptions import HTTPError

from contracts.refusal import EXIT_CODE, Refusal

Object = Any
"""A model of the client's, which has no types."""
Say = Callable[[str], None]

QUIET = frozenset({"ContainerCreating", "PodInitializing"})
SLOW = 10
"""So many times longer than for one that cannot start is waited for a pod that is being made."""
UNTOLD = frozenset({"event", "level", "service", "timestamp", "bot", "folder"})
LAST_LINES = 5


class NotStarting(Refusal):
    pass


class JobFailed(Exception):
    def __init__(self, text: str, lines: list[str]) -> None:
        super().__init__(text)
        self.lines = lines


@dataclass(frozen=True)
class Patience:
    """How is waited between two questions, and after how many of them no longer."""

    pause: Callable[[], None] = field(default=partial(time.sleep, 1))
    polls: int = 120


@dataclass(frozen=True)
class Cluster:
    client: ApiClient
    namespace: str
    patience: Patience

    @property
    def core(self) -> CoreV1Api:
        return CoreV1Api(self.client)

    @property
    def batch(self) -> BatchV1Api:
        return BatchV1Api(self.client)

    def ask(self, call: Callable[..., Object], *args: object, **options: object) -> Object:
        """The answer, None where there is no such thing; a cluster that is away is asked again."""
        for left in range(self.patience.polls, -1, -1):
            try:
                return call(*args, **options)
            except ApiException as error:
                if error.status == 404:
                    return None
                if (error.status != 429 and error.status < 500) or not left:
                    raise
            except HTTPError:
                if not left:
                    raise
            self.patience.pause()
        raise AssertionError("unreachable")

    def pod(self, name: str) -> Object:
        return self.ask(self.core.read_namespaced_pod, name, self.namespace)

    def pods(self, job: str) -> list[Object]:
        """Of a job, the oldest first."""
        found = self.ask(
            self.core.list_namespaced_pod,
            self.namespace,
            label_selector=f"batch.kubernetes.io/job-name={job}",
        )
        return sorted(found.items, key=lambda pod: pod.metadata.creation_timestamp)


def steps(pod: Object) -> list[str]:
    return [each.name for each in (*(pod.spec.init_containers or ()), *pod.spec.containers)]


def _state(pod: Object, step: str) -> Object:
    """Of a container; None before the node has taken the pod."""
    status = pod.status
    all_of_them = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    return next((each.state for each in all_of_them if each.name == step), None)


def _ended(pod: Object, step: str) -> Object:
    state = _state(pod, step)
    return state and state.terminated


def has_started(pod: Object, step: str) -> bool:
    state = _state(pod, step)
    return bool(state and (state.running or state.terminated))


def _hindrance(pod: Object) -> str | None:
    """What keeps the pod from starting, in the cluster's words."""
    for each in pod.status.conditions or ():
        if each.type == "PodScheduled" and each.status == "False":
            return f"{each.reason}: {each.message}"
    for step in steps(pod):
        waiting = (state := _state(pod, step)) and state.waiting
        if waiting and waiting.reason and waiting.reason not in QUIET:
            return f"{step}: {waiting.reason}: {waiting.message}"
    return None


def wait(cluster: Cluster, name: str, step: str, say: Say) -> Object:
    """The pod once the step has started or never will; None if the pod is gone.

    Raises NotStarting after a while in which it could not start.
    """
    told, polls = None, 0
    while True:
        pod = cluster.pod(name)
        if pod is None or has_started(pod, step) or pod.status.phase in ("Succeeded", "Failed"):
            return pod
        hindrance = _hindrance(pod)
        if polls >= cluster.patience.polls * (1 if hindrance else SLOW):
            reason = hindrance or "kubectl describe pod says why"
            raise NotStarting(f"pod {name} does not start ({reason})")
        if hindrance and hindrance != told:
            say(f"waiting: {hindrance}")
            told = hindrance
        polls += 1
        cluster.patience.pause()


@dataclass
class Told:
    """Shows log lines, and keeps the fields of the last line of each event."""

    say: Say
    events: dict[str, dict[str, object]] = field(default_factory=dict)

    def line(self, text: str) -> None:
        fields = _fields(text)
        self.events |= {str(fields["event"]): fields} if fields else {}
        self.say(f"  {readable(text)}")


def _fields(line: str) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) and "event" in fields else {}


def readable(line: str) -> str:
    """A log line without what every line has; another line as it is."""
    if not (fields := _fields(line)):
        return line
    level = "" if fields.get("level", "info") == "info" else f"{fields['level']}: "
    rest = (f"{name}={value}" for name, value in fields.items() if name not in UNTOLD)
    return " ".join((f"{level}{fields['event']}", *rest))


def follow(cluster: Cluster, job: str, say: Say) -> dict[str, dict[str, object]]:
    """What the job logged last of each event, when it is done; all is shown as it comes.

    Raises JobFailed, and Refusal for a step that refused or cannot start.
    """
    told, seen = Told(say), set[str]()
    while True:
        # first, so that its end is known only after the last pod has been shown
        now = cluster.ask(cluster.batch.read_namespaced_job, job, cluster.namespace)
        if now is None:
            raise Refusal(f"job {job}: somebody has deleted it")
        for pod in cluster.pods(job):
            if pod.metadata.name not in seen:
                if seen:
                    say(f"another pod goes on: {pod.metadata.name}")
                seen.add(pod.metadata.name)
                _show(cluster, pod, told)
        for condition in now.status.conditions or ():
            if condition.status == "True" and condition.type == "Complete":
                return told.events
            if condition.status == "True" and condition.type == "Failed":
                raise _failure(cluster.pods(job), job, condition)
        cluster.patience.pause()


def _show(cluster: Cluster, pod: Object, told: Told) -> None:
    """A pod's steps, until it ends or is gone."""
    name = pod.metadata.name
    for step in steps(pod):
        pod = wait(cluster, name, step, told.say)
        if pod is None or not has_started(pod, step):
            return
        told.say(f"{step}:")
        _read(cluster, name, step, told)


def _read(cluster: Cluster, name: str, step: str, told: Told) -> None:
    """Show a step's log to its end, each line once however often it has to be read."""
    last = ""
    while True:
        pod = cluster.pod(name)  # first: the log of a step that had ended by then is whole
        whole = pod is None or bool(_ended(pod, step))
        try:
            for stamp, text in _log(cluster, name, step):
                if stamp > last:
                    last = stamp
                    told.line(text)
        except HTTPError:
            whole = False
        if whole:
            return
        cluster.patience.pause()


def _log(cluster: Cluster, name: str, step: str) -> Iterator[tuple[str, str]]:
    """Time and text of each line, as they come."""
    answer = cluster.ask(
        cluster.core.read_namespaced_pod_log, name, cluster.namespace, container=step,
        follow=True, timestamps=True, _preload_content=False,
    )  # fmt: skip
    if answer is None:
        return
    with answer:
        for line in answer:
            stamp, _, text = line.decode("utf-8", "replace").rstrip("\r\n").partition(" ")
            yield stamp, text


def _failure(pods: list[Object], job: str, condition: Object) -> Exception:
    for pod in reversed(pods):
        for step in steps(pod):
            if (ended := _ended(pod, step)) and ended.exit_code:
                lines = [readable(each) for each in (ended.message or "").strip().splitlines()]
                if ended.exit_code == EXIT_CODE and lines:
                    return Refusal(f"{job}: {step}: {lines[-1].removeprefix('error: ')}")
                code = f"exit code {ended.exit_code}, {ended.reason}"
                return JobFailed(f"{job}: {step} failed ({code})", lines[-LAST_LINES:])
    return JobFailed(f"{job}: failed ({condition.reason}: {condition.message})", [])
