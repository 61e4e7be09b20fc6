"""Puts an export on the data volume, through a pod that lives as long as that takes.

The pod is made of the bot's own job, so that the manifests alone say what may run there.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path

from kubernetes.client import ApiException, V1ObjectMeta, V1Pod
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from urllib3.exceptions import HTTPError
from websocket import WebSocketBadStatusException, WebSocketException

from contracts.refusal import Refusal
from training_jobs.submit.follow import Cluster, Object, Say, has_started, wait

DATA = "/data"
MOUNTS = (DATA, "/tmp")  # noqa: S108 (the container's)
CONTAINER = "upload"
LIFETIME_SECONDS = 4 * 3600
"""After which a pod that was forgotten ends by itself."""
BLOCK = 256 * 1024
SILENCE_SECONDS = 120
"""A connection that takes nothing for so long is given up, and a check sum that takes longer."""


def check(export: Path) -> int:
    """Its size; raises Refusal for what cannot be a Telegram export."""
    if export.is_dir():
        raise Refusal(f"--export {export}: is a folder; give the result.json in it")
    try:
        with export.open("rb") as file:
            begins = file.read(BLOCK).lstrip()[:1]
    except OSError as error:
        raise Refusal(f"--export {export}: cannot be read ({error.strerror})") from None
    if begins != b"{":
        raise Refusal(f"--export {export}: is no result.json; export the chat as JSON")
    return export.stat().st_size


def upload_pod(cronjob: Object, bot: str) -> Object:
    """The job's pod with its first step alone, which sleeps."""
    template = deepcopy(cronjob.spec.job_template.spec.template)
    spec = template.spec
    container = next(
        each for each in (*(spec.init_containers or ()), *spec.containers) if each.name == "extract"
    )
    container.name, container.command, container.args = (
        CONTAINER,
        ["sleep"],
        [str(LIFETIME_SECONDS)],
    )
    container.env = container.env_from = None
    container.volume_mounts = [
        each for each in container.volume_mounts if each.mount_path in MOUNTS
    ]
    mounted = {each.name for each in container.volume_mounts}
    spec.init_containers, spec.containers = None, [container]
    spec.volumes = [each for each in spec.volumes if each.name in mounted]
    spec.restart_policy = "Never"
    spec.active_deadline_seconds = LIFETIME_SECONDS
    spec.termination_grace_period_seconds = 1  # sleep would not listen anyway
    name = f"upload-{bot}-{secrets.token_hex(3)}"
    labels = {**template.metadata.labels, "app.kubernetes.io/name": CONTAINER}
    metadata = V1ObjectMeta(name=name, labels=labels)
    return V1Pod(api_version="v1", kind="Pod", metadata=metadata, spec=spec)


def upload(cluster: Cluster, cronjob: Object, bot: str, export: Path, say: Say) -> None:
    """Ask for room, send, compare, and only then put it in the place of the one before."""
    size = check(export)
    folder = f"{DATA}/{bot}/exports"
    part, target = f"{folder}/result.json.part", f"{folder}/result.json"
    with _pod(cluster, upload_pod(cronjob, bot), say) as run:
        told = run('mkdir -p "$1" && rm -f "$2" && df -Pk "$1"', folder, part)
        free = int(told.splitlines()[1].split()[3]) * 1024
        if free < size:
            raise Refusal(
                f"the volume data has {decimal(free)} free, {export} takes {decimal(size)};"
                " enlarge the claim data, or delete what is old there"
            )
        try:
            sent = hashlib.sha256()
            data = _blocks(export, size, sent.update)
            # knows by itself where the end is: not every server passes that on
            got = run('head -c "$1" > "$2" && sha256sum "$2"', str(size), part, data=data)
            if got.split()[0] != sent.hexdigest():
                raise Refusal(f"{export}: did not arrive as it was sent; try again")
            run('mv "$1" "$2"', part, target)
        except BaseException:
            with suppress(Refusal, ApiException, HTTPError):
                run('rm -f "$1"', part)
            raise
    say(f"{decimal(size)} uploaded")


def _blocks(export: Path, size: int, seen: Callable[[bytes], None]) -> Iterator[bytes]:
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with (
        export.open("rb") as file,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=size)
        while size:
            if not (block := file.read(min(BLOCK, size))):
                raise Refusal(f"{export}: became shorter while it was read; try again")
            seen(block)
            yield block
            size -= len(block)
            progress.advance(task, len(block))


Run = Callable[..., str]


@contextmanager
def _pod(cluster: Cluster, pod: Object, say: Say) -> Iterator[Run]:
    """What runs a shell script in the pod; the pod is deleted whatever happens."""
    name = pod.metadata.name
    try:
        cluster.core.create_namespaced_pod(cluster.namespace, pod)
        found = wait(cluster, name, CONTAINER, say)
        if found is None or not has_started(found, CONTAINER) or found.status.phase != "Running":
            reason = found and (found.status.reason or found.status.phase)
            raise Refusal(f"pod {name} has ended ({reason or 'somebody has deleted it'})")
        yield lambda script, *args, data=(): _run(cluster, name, script, *args, data=data)
    finally:
        try:
            cluster.core.delete_namespaced_pod(name, cluster.namespace)
        except (ApiException, HTTPError) as error:
            if getattr(error, "status", None) != 404:
                hours = LIFETIME_SECONDS // 3600
                say(f"pod {name} could not be deleted; it ends by itself within {hours} hours")


def _run(
    cluster: Cluster, pod: str, script: str, *args: str, data: Iterable[bytes] = ()
) -> str:  # fmt: skip
    """What the script prints when `data` is its input; raises Refusal with its complaint."""
    with _exec(cluster, pod, ["sh", "-c", script, "sh", *args], data != ()) as connection:
        connection.sock.settimeout(SILENCE_SECONDS)
        broken = suppress(OSError, WebSocketException)  # what the pod said before matters more
        with broken:
            for block in data:
                connection.update()
                if not connection.is_open():
                    break
                connection.write_stdin(block)
        with broken:
            connection.run_forever(timeout=SILENCE_SECONDS)
    status = json.loads(connection.read_channel(ERROR_CHANNEL) or "{}")
    if status.get("status") == "Success":
        return str(connection.read_channel(STDOUT_CHANNEL), "utf-8")
    said = str(connection.read_channel(STDERR_CHANNEL), "utf-8").strip().splitlines()
    raise Refusal(f"pod {pod}: {said[-1] if said else 'the connection to it was lost; try again'}")


@contextmanager
def _exec(cluster: Cluster, pod: str, command: list[str], stdin: bool) -> Iterator[Object]:
    try:
        connection = stream(
            cluster.core.connect_get_namespaced_pod_exec, pod, cluster.namespace,
            container=CONTAINER, command=command, stdin=stdin, stdout=True, stderr=True,
            binary=True, _preload_content=False,
        )  # fmt: skip
    except (ApiException, AttributeError) as error:
        raise _meant(error) from None
    try:
        yield connection
    finally:
        connection.close()
        connection.sock.shutdown()  # which the other side's close leaves out


def _meant(error: BaseException) -> BaseException:
    """The client makes an ApiException of all that happens before the websocket is open, a Ctrl-C
    included, and stumbles over its empty body."""
    told = error if isinstance(error, ApiException) else error.__context__
    cause = told.__context__ if told else None
    if isinstance(cause, KeyboardInterrupt):
        return cause
    if isinstance(told, ApiException) and isinstance(cause, WebSocketBadStatusException):
        told.status, told.body = cause.status_code, cause.resp_body
    return told or error
