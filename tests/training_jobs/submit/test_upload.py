"""The export's way to the volume, and what may go wrong on it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training_jobs.submit.conftest import refused
from tests.training_jobs.submit.standin import Resource, StandIn, state

DIFFERENT = "what arrived is not what was sent; try again"
FULL = "head: write error: No space left on device"
FORBIDDEN = 'Error from server (Forbidden): User "olga" cannot create resource "pods/exec"'
UNSCHEDULABLE = '0/1 nodes are available: persistentvolumeclaim "data" not found.'
CONDITION = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}


def exports(cluster: StandIn) -> dict[str, bytes]:
    folder = cluster.folder / "data/avtobus/exports"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def fails(cluster: StandIn, export: Path) -> str:
    """What is said of the pod; on the cluster nothing is left of the attempt."""
    line = refused(cluster, "--export", export)
    assert line.startswith("pod upload-avtobus-")
    assert not cluster.kept["pods"]
    assert not cluster.kept["jobs"]
    return line[len("pod upload-avtobus-123456") :]


@pytest.mark.parametrize("context", [[], ["--context", "home"]])
def test_an_export_arrives_byte_by_byte_in_place_of_the_one_before(
    cluster: StandIn, export: Path, context: list[str]
) -> None:
    folder = cluster.folder / "data/avtobus/exports"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("old")
    done = cluster.command("--export", export, "--no-follow", *context)
    assert exports(cluster) == {"result.json": export.read_bytes()}
    assert not cluster.kept["pods"]
    [job] = cluster.kept["jobs"]
    again = " ".join(["python -m training_jobs.submit --bot avtobus", *context, "--follow", job])
    assert done.stdout == f"1.0 MB uploaded\nstarted {job}\nfollow it: {again}\n"
    call = " ".join(
        [f"{cluster.folder}/config", *context, "-n persona-bots exec -i upload-avtobus-"]
    )
    assert (cluster.folder / "kubectl.log").read_text().startswith(call)


def test_the_pod_is_the_jobs_own_with_a_sleep_for_its_first_step(
    cluster: StandIn, export: Path
) -> None:
    cluster.refusals = {("DELETE", "pods"): (403, "no")}
    done = cluster.command("--export", export, "--no-follow")
    [(name, pod)] = cluster.kept["pods"].items()
    assert done.exit_code == 0
    assert f"pod {name} could not be deleted; it ends by itself within 4 hours" in done.stdout
    learn = cluster.kept["cronjobs"]["learn-avtobus"]["spec"]["jobTemplate"]["spec"]["template"]
    labels = {**learn["metadata"]["labels"], "app.kubernetes.io/name": "upload"}
    assert pod["metadata"] == {"name": name, "labels": labels}
    spec = {key: value for key, value in learn["spec"].items() if key != "initContainers"}
    [extract, *_] = learn["spec"]["initContainers"]
    mounts = [each for each in extract["volumeMounts"] if each["name"] in ("data", "tmp")]
    container = {**extract, "name": "upload", "command": ["sleep"], "args": ["14400"]}
    del container["env"], container["envFrom"]
    assert pod["spec"] == {
        **spec,
        "containers": [{**container, "volumeMounts": mounts}],
        "volumes": [each for each in spec["volumes"] if each["name"] in ("data", "tmp")],
        "activeDeadlineSeconds": 14400,
        "terminationGracePeriodSeconds": 1,
    }


@pytest.mark.parametrize(
    ("program", "script", "line"),
    [
        ("pod/head", f'echo "{FULL}" >&2; exit 1', FULL),
        ("pod/head", '/usr/bin/head "$@" | tr a b', DIFFERENT),
        ("pod/head", "/usr/bin/head -c 99", DIFFERENT),
        ("pod/mv", 'echo "mv: no" >&2; exit 1', "mv: no"),
        ("bin/kubectl", f"echo '{FORBIDDEN}' >&2; exit 1", FORBIDDEN),
        (
            "pod/df",
            'printf "Filesystem 1-blocks\\n/dev/sda 900000 797600 102400 89%% /data\\n"',
            "the volume data has 103K free, the export takes 1.1M;"
            " enlarge the claim data, or delete what is old there",
        ),
    ],
)
def test_what_goes_wrong_is_told_and_leaves_nothing(
    cluster: StandIn, export: Path, program: str, script: str, line: str
) -> None:
    cluster.program(program, script)
    assert fails(cluster, export) == f": {line}"
    assert not exports(cluster)


def test_a_pod_that_is_killed_meanwhile_is_told_and_takes_no_room_from_the_next(
    cluster: StandIn, export: Path
) -> None:
    cluster.program("pod/head", "/usr/bin/head -c 10; kill -9 $PPID")
    assert fails(cluster, export) == ": the connection to it was lost; try again"
    assert list(exports(cluster)) == ["result.json.part"]
    (cluster.folder / "pod/head").unlink()
    cluster.program("pod/df", "test ! -e $4/result.json.part && exec /usr/bin/df -P -B 1 /")
    assert cluster.command("--export", export, "--no-follow").exit_code == 0


@pytest.mark.parametrize("received", [0, 1_000_000])
def test_ctrl_c_while_uploading_leaves_nothing(
    cluster: StandIn, export: Path, ctrl_c: None, received: int
) -> None:
    export.write_bytes(b"{" + os.urandom(30_000_000))
    interrupt = f"kill -INT {os.getpid()}; cat > /dev/null"
    cluster.program("pod/head", f"/usr/bin/head -c {received}; {interrupt}")
    done = cluster.command("--export", export)
    assert (done.exit_code, done.stderr) == (130, "\nstopped; nothing was started\n")
    assert not cluster.kept["pods"]
    until = time.monotonic() + 60
    while exports(cluster) and time.monotonic() < until:  # what runs in the pod notices by itself
        time.sleep(0.01)
    assert not exports(cluster)


def test_ctrl_c_while_the_pod_is_waited_for_leaves_nothing(
    cluster: StandIn, export: Path, ctrl_c: None
) -> None:
    def interrupted() -> Iterator[None]:
        os.kill(os.getpid(), signal.SIGINT)
        yield

    cluster.upload_state = state("ContainerCreating")
    cluster.play = interrupted()
    done = cluster.command("--export", export)
    assert (done.exit_code, done.stderr) == (130, "\nstopped; nothing was started\n")
    assert not cluster.kept["pods"]


@pytest.mark.parametrize(
    ("now", "status", "reason", "waits"),
    [
        (
            state("PodInitializing"),
            {"conditions": [{**CONDITION, "message": UNSCHEDULABLE}]},
            f"does not start (Unschedulable: {UNSCHEDULABLE})",
            12,
        ),
        (state("ErrImagePull", "no"), {}, "does not start (upload: ErrImagePull: no)", 12),
        (state("ContainerCreating"), {}, "does not start (kubectl describe pod says why)", 120),
        (state(), {"phase": "Failed", "reason": "Evicted"}, "has ended (Evicted)", 0),
    ],
)
def test_a_pod_that_does_not_start_is_given_up_after_a_while(
    cluster: StandIn, export: Path,
    now: Resource, status: Resource, reason: str, waits: int,
) -> None:  # fmt: skip
    cluster.upload_state, cluster.upload_status = now, status
    assert fails(cluster, export) == f" {reason}"
    assert cluster.waits == waits
