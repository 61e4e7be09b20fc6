"""The export's way to the volume, and what may go wrong on it."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from kubernetes import client as k8s

from tests.k8s.conftest import kinds
from tests.training_jobs.submit.conftest import Command
from tests.training_jobs.submit.standin import StandIn, codec, state

NOTHING = "stopped; nothing was started"


def exports(cluster: StandIn) -> dict[str, bytes]:
    folder = cluster.volume / "data/avtobus/exports"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def program(cluster: StandIn, name: str, script: str) -> None:
    """Runs in the pod in place of the real one."""
    path = cluster.volume / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def refused(command: Command, cluster: StandIn, export: Path) -> str:
    """The line, and that nothing is left of the attempt."""
    done = command("--export", export)
    assert done.exit_code == 2, done.output
    assert not cluster.kept["pods"]
    assert not cluster.kept["jobs"]
    [line] = done.stderr.splitlines()
    return line


def test_an_export_arrives_byte_by_byte_in_place_of_the_one_before(
    command: Command, cluster: StandIn, export: Path
) -> None:
    folder = cluster.volume / "data/avtobus/exports"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("old")
    done = command("--export", export, "--no-follow")
    assert done.exit_code == 0, done.output
    assert exports(cluster) == {"result.json": export.read_bytes()}
    assert not cluster.kept["pods"]
    [job] = cluster.kept["jobs"]
    assert done.stdout.splitlines() == [
        "1.0 MB uploaded",
        f"started {job}",
        f"follow it: python -m training_jobs.submit --bot avtobus --follow {job}",
    ]


def test_the_pod_is_the_jobs_own_with_a_sleep_for_its_first_step(
    command: Command, cluster: StandIn, export: Path
) -> None:
    pods: list[Any] = []

    def seen(pod: Any) -> None:
        pods.append(codec.sanitize_for_serialization(pod))
        cluster.run_upload(pod)

    cluster.uploads = seen
    command("--export", export, "--no-follow")
    [pod] = pods
    learn = kinds("vds", "CronJob")["learn-avtobus"]["spec"]["jobTemplate"]["spec"]["template"]
    extract = learn["spec"]["initContainers"][0]
    [container] = pod["spec"]["containers"]
    assert (container["command"], container["args"]) == (["sleep"], ["14400"])
    assert pod["spec"]["activeDeadlineSeconds"] == 14400
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1
    assert {"env", "envFrom"}.isdisjoint(container)
    assert pod["spec"]["restartPolicy"] == "Never"
    for key in ("image", "securityContext", "resources"):
        assert container[key] == extract[key]
    for key in ("securityContext", "priorityClassName", "automountServiceAccountToken"):
        assert pod["spec"][key] == learn["spec"][key]
    assert [each["name"] for each in container["volumeMounts"]] == ["data", "tmp"]
    assert [each["name"] for each in pod["spec"]["volumes"]] == ["data", "tmp"]
    labels = pod["metadata"]["labels"]
    assert labels == {**learn["metadata"]["labels"], "app.kubernetes.io/name": "upload"}
    kubernetes_validate.validate({**pod, "status": {}}, "1.32", strict=True)


def test_what_cannot_be_an_export_is_refused_before_the_cluster_is_asked(
    command: Command, cluster: StandIn, export: Path, tmp_path: Path
) -> None:
    missing, page = tmp_path / "missing.json", tmp_path / "messages.html"
    page.write_text("<html>")
    assert [refused(command, cluster, each) for each in (missing, tmp_path, page)] == [
        f"error: --export {missing}: cannot be read (No such file or directory)",
        f"error: --export {tmp_path}: is a folder; give the result.json in it",
        f"error: --export {page}: is no result.json; export the chat as JSON",
    ]
    assert not cluster.asked


def test_a_full_volume_is_told_before_anything_is_sent(
    command: Command, cluster: StandIn, export: Path
) -> None:
    program(cluster, "df", 'printf "Filesystem 1024-blocks\\n/dev/sda 9000 8900 100 99%% /data\\n"')
    assert refused(command, cluster, export) == (
        f"error: the volume data has 102.4 kB free, {export} takes 1.0 MB;"
        " enlarge the claim data, or delete what is old there"
    )


def test_a_volume_that_fills_up_meanwhile_is_told_in_its_own_words(
    command: Command, cluster: StandIn, export: Path
) -> None:
    program(cluster, "head", 'echo "head: write error: No space left on device" >&2; exit 1')
    line = refused(command, cluster, export)
    assert line.startswith("error: pod upload-avtobus-")
    assert line.endswith(": head: write error: No space left on device")
    assert not exports(cluster)


def test_bytes_that_change_on_the_way_are_noticed(
    command: Command, cluster: StandIn, export: Path
) -> None:
    program(cluster, "head", '/usr/bin/head "$@" | tr a b')
    assert refused(command, cluster, export) == (
        f"error: {export}: did not arrive as it was sent; try again"
    )
    assert not exports(cluster)


def test_an_export_that_becomes_shorter_meanwhile_is_told(
    command: Command, cluster: StandIn, export: Path
) -> None:
    program(cluster, "df", "truncate -s 10 ${0%/bin/df}/result.json; exec /usr/bin/df /")
    line = refused(command, cluster, export)
    assert line == f"error: {export}: became shorter while it was read; try again"
    assert not exports(cluster)


def test_a_pod_that_is_killed_meanwhile_is_told(
    command: Command, cluster: StandIn, export: Path
) -> None:
    cluster.sent = lambda count: cluster.kept["pods"].clear() if count else None
    line = refused(command, cluster, export)
    assert line.startswith("error: pod upload-avtobus-")
    assert line.endswith(": the connection to it was lost; try again")
    assert list(exports(cluster)) == ["result.json.part"]  # which takes no room from the next one
    program(cluster, "df", "test ! -e $2/result.json.part && exec /usr/bin/df -Pk /")
    cluster.sent = lambda count: None
    assert command("--export", export, "--no-follow").exit_code == 0


@pytest.mark.parametrize("moment", [0, 1])
def test_ctrl_c_while_uploading_leaves_nothing(
    command: Command, cluster: StandIn, export: Path, moment: int
) -> None:
    once = iter([threading.main_thread().ident or 0])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever ran before

    def interrupt(count: int) -> None:
        if count >= moment and (main := next(once, 0)):
            signal.pthread_kill(main, signal.SIGINT)

    cluster.sent = interrupt
    export.write_bytes(b"{" + os.urandom(30_000_000))
    try:
        done = command("--export", export)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done.exit_code, done.stderr.strip()) == (130, NOTHING)
    assert not cluster.kept["pods"]
    assert not exports(cluster)
    assert next(once, 0) == 0


def test_ctrl_c_while_the_pod_is_waited_for_leaves_nothing(
    command: Command, cluster: StandIn, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    cluster.uploads = lambda pod: None
    monkeypatch.setattr(cluster, "tick", interrupted)
    done = command("--export", export)
    assert (done.exit_code, done.stderr.strip()) == (130, NOTHING)
    assert not cluster.kept["pods"]


def unschedulable(cluster: StandIn, pod: Any) -> None:
    pod.status.conditions = [
        k8s.V1PodCondition(
            type="PodScheduled", status="False", reason="Unschedulable",
            message='0/1 nodes are available: persistentvolumeclaim "data" not found.',
        )
    ]  # fmt: skip


def no_image(cluster: StandIn, pod: Any) -> None:
    cluster.put(pod, "upload", state("ErrImageNeverPull", "the image is not there"))


def nothing(cluster: StandIn, pod: Any) -> None:
    cluster.put(pod, "upload", state("ContainerCreating"))


@pytest.mark.parametrize(
    ("happens", "reason", "waits"),
    [
        (
            unschedulable,
            'Unschedulable: 0/1 nodes are available: persistentvolumeclaim "data" not found.',
            5,
        ),
        (no_image, "upload: ErrImageNeverPull: the image is not there", 5),
        (nothing, "kubectl describe pod says why", 50),
    ],
)
def test_a_pod_that_does_not_start_is_given_up_after_a_while(
    command: Command, cluster: StandIn, export: Path, happens: Any, reason: str, waits: int
) -> None:
    cluster.uploads = lambda pod: happens(cluster, pod)
    line = refused(command, cluster, export)
    assert line.startswith("error: pod upload-avtobus-")
    assert line.endswith(f" does not start ({reason})")
    assert cluster.waits == waits


def test_a_pod_that_is_put_out_at_once_is_told(
    command: Command, cluster: StandIn, export: Path
) -> None:
    def evicted(pod: Any) -> None:
        pod.status.phase, pod.status.reason = "Failed", "Evicted"

    cluster.uploads = evicted
    assert refused(command, cluster, export).endswith(" has ended (Evicted)")


def test_a_pod_that_cannot_be_deleted_ends_by_itself(
    command: Command, cluster: StandIn, export: Path
) -> None:
    cluster.forbidden = {("delete", "pods"): "no"}
    done = command("--export", export, "--no-follow")
    assert done.exit_code == 0
    [pod] = cluster.kept["pods"]
    assert f"pod {pod} could not be deleted; it ends by itself within 4 hours" in done.stdout
