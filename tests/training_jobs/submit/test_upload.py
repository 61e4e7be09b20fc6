"""The export's way to the volume, and what may go wrong on it."""

import os
import time
from copy import deepcopy
from pathlib import Path

import pytest

from tests.training_jobs.submit.conftest import refusal
from tests.training_jobs.submit.standin import Resource, StandIn, state
from training_jobs.submit.__main__ import check

CREATING = state("ContainerCreating")
DIFFERENT = "what arrived is not what was sent; try again"
NO_SPACE = "head: write error: No space left on device"
FORBIDDEN = 'Error from server (Forbidden): User "olga" cannot create resource "pods/exec"'
FULL = "the volume data has 103K free, the export takes 1.1M"
ENLARGE = "enlarge the claim data, or delete what is old there"
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}


def exports(cluster: StandIn) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cluster.folder.glob("data/avtobus/exports/*")}


def pod_failure(cluster: StandIn) -> str:
    """Return what the refusal says of the pod; no pod and no job may be left."""
    line = refusal(cluster.submit())
    assert line.startswith("pod upload-avtobus-")
    assert not cluster.kept["pods"]
    assert not cluster.kept["jobs"]
    return line[len("pod upload-avtobus-123456") :]


def test_an_export_replaces_the_previous_one(cluster: StandIn) -> None:
    folder = cluster.folder / "data/avtobus/exports"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("old")
    done = cluster.submit("--no-follow")
    assert exports(cluster) == {"result.json": cluster.export.read_bytes()}
    assert (folder / "result.json").stat().st_mode & 0o077 == 0
    assert not cluster.kept["pods"]
    [job] = cluster.kept["jobs"]
    again = f"python -m training_jobs.submit --bot avtobus --follow {job}"
    assert done.stdout == f"uploading 1.0 MB\nstarted {job}\nfollow it: {again}\n"
    call = "-n persona-bots exec -i upload-avtobus-"
    assert (cluster.folder / "kubectl.log").read_text().startswith(call)


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"messages": []}',
        b"<!DOCTYPE html>",
        "12.03.2023, 18:45 - Анна: да".encode(),
        "\u200e[12.03.2023, 18:45:07] Анна: да".encode(),
        b"PK\x03\x04",
    ],
)
def test_whatever_extraction_reads_is_uploaded(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chat").write_bytes(content)
    check(tmp_path / "chat")


def test_the_stored_export_is_learned_again_without_an_upload(cluster: StandIn) -> None:
    done = cluster.command("--again", "--no-follow")
    [job] = cluster.kept["jobs"]
    assert done.stdout.startswith(f"started {job}\n")
    assert not exports(cluster)


def test_the_pod_is_the_jobs_own_with_a_sleep_for_its_first_step(cluster: StandIn) -> None:
    cluster.refusals = {("delete", "pod"): "Error from server (Forbidden): no"}
    done = cluster.submit("--no-follow")
    [(name, pod)] = cluster.kept["pods"].items()
    assert done.exit_code == 0
    assert f"pod {name} could not be deleted; it ends by itself within 4 hours" in done.stdout
    learn = cluster.kept["cronjobs"]["learn-avtobus"]["spec"]["jobTemplate"]["spec"]["template"]
    labels = {**learn["metadata"]["labels"], "app.kubernetes.io/name": "upload"}
    assert pod["metadata"] == {"name": name, "labels": labels}
    spec = deepcopy(learn["spec"])
    [container, *_] = spec.pop("initContainers")
    for owner, key in ((container, "volumeMounts"), (spec, "volumes")):
        owner[key] = [each for each in owner[key] if each["name"] in ("data", "tmp")]
    del container["env"], container["envFrom"]
    container |= {"name": "upload", "command": ["sleep"], "args": ["14400"]}
    spec |= {"activeDeadlineSeconds": 14400, "terminationGracePeriodSeconds": 1}
    assert pod["spec"] == {**spec, "containers": [container]}


@pytest.mark.parametrize(
    ("program", "script", "line"),
    [
        ("pod/head", f'echo "{NO_SPACE}" >&2; exit 1', NO_SPACE),
        ("pod/head", '/usr/bin/head "$@" | tr a b', DIFFERENT),
        ("pod/head", "/usr/bin/head -c 99", DIFFERENT),
        ("pod/mv", 'echo "mv: no" >&2; exit 1', "mv: no"),
        ("bin/kubectl", f"echo '{FORBIDDEN}' >&2; exit 1", FORBIDDEN),
        ("pod/df", "echo /dev/sda 900000 797600 102400 89% /data", f"{FULL}; {ENLARGE}"),
    ],
)
def test_a_failed_upload_is_explained_and_leaves_nothing(
    cluster: StandIn, program: str, script: str, line: str
) -> None:
    cluster.program(program, script)
    assert pod_failure(cluster) == f": {line}"
    assert not exports(cluster)


def test_what_a_killed_pod_leaves_takes_no_room_from_the_next(cluster: StandIn) -> None:
    cluster.program("pod/head", "/usr/bin/head -c 10; kill -9 $PPID")
    assert pod_failure(cluster) == ": the connection to it was lost; try again"
    assert list(exports(cluster)) == ["result.json.upload"]
    (cluster.folder / "pod/head").unlink()
    cluster.program("pod/df", "test ! -e $4/result.json.upload && exec /usr/bin/df -P -B 1 /")
    assert cluster.submit("--no-follow").exit_code == 0


@pytest.mark.parametrize("received", [None, 0, 1_000_000])
def test_ctrl_c_leaves_nothing(cluster: StandIn, received: int | None) -> None:
    """Interrupt while the pod starts (None), or after some bytes of the upload."""
    if received is None:
        cluster.upload_state, cluster.play = CREATING, cluster.interrupt()
    else:
        cluster.export.write_bytes(b"{" + os.urandom(30_000_000))
        interrupt = f"kill -INT {os.getpid()}; cat > /dev/null"
        cluster.program("pod/head", f"/usr/bin/head -c {received}; {interrupt}")
    done = cluster.submit()
    assert (done.exit_code, done.stderr) == (130, "\nstopped; nothing was started\n")
    assert not cluster.kept["pods"]
    until = time.monotonic() + 60
    while exports(cluster) and time.monotonic() < until:  # the script in the pod cleans up itself
        time.sleep(0.01)
    assert not exports(cluster)


@pytest.mark.parametrize(
    ("container", "pod", "reason", "waits"),
    [
        (CREATING, {"conditions": [NO_NODE]}, "does not start (Unschedulable: full)", 12),
        (state("ErrImagePull", "no"), {}, "does not start (upload: ErrImagePull: no)", 12),
        (state(), {"phase": "Failed", "reason": "Evicted"}, "has ended (Evicted)", 0),
    ],
)
def test_a_pod_that_does_not_start_is_given_up_after_a_while(
    cluster: StandIn, container: Resource, pod: Resource, reason: str, waits: int
) -> None:
    cluster.upload_state, cluster.upload_status = container, pod
    assert pod_failure(cluster) == f" {reason}"
    assert cluster.waits == waits
