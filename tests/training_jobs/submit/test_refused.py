"""What keeps the command from beginning."""

import socket
from pathlib import Path

import pytest

from tests.training_jobs.submit.conftest import config, refused
from tests.training_jobs.submit.standin import StandIn


def test_one_of_two_things_is_to_be_done(cluster: StandIn, export: Path) -> None:
    for arguments in ([], ["--export", export, "--follow", "j"]):
        assert refused(cluster, *arguments) == "give either --export FILE or --follow JOB"


def test_what_is_missing_on_this_machine_is_told_before_the_cluster_is_asked(
    cluster: StandIn, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export.parent
    (folder / "page.html").write_text("<html>")
    monkeypatch.setenv("PATH", "")
    for path, line in {
        folder
        / "no.json": f"--export {folder}/no.json: cannot be read (No such file or directory)",
        folder: f"--export {folder}: is a folder; give the result.json in it",
        folder
        / "page.html": f"--export {folder}/page.html: is no result.json; export the chat as JSON",
        export: "kubectl, which carries the export, is not installed (docs/deploy.md)",
    }.items():
        assert refused(cluster, "--export", path) == line
    assert not cluster.requests


def test_an_unknown_bot_is_refused_with_those_that_there_are(
    cluster: StandIn, export: Path
) -> None:
    line = "no bot tramvaj in the namespace persona-bots; there are: avtobus, polkson"
    assert refused(cluster, "--bot", "tramvaj", "--export", export) == line
    cluster.kept["cronjobs"].clear()
    line = "no bot avtobus in the namespace n; nor any other; kubectl apply -k k8s/overlays/vds"
    assert refused(cluster, "--export", export, "--namespace", "n") == line


def test_a_bot_that_is_learning_is_not_disturbed(cluster: StandIn, export: Path, job: str) -> None:
    assert refused(cluster, "--export", export) == (
        f"{job} is at work; follow it with --follow {job},"
        f" or end it: kubectl -n persona-bots delete job {job}"
    )
    cluster.finish()
    assert cluster.command("--export", export, "--no-follow").exit_code == 0


@pytest.mark.parametrize(
    ("method", "kind", "status", "message", "hint"),
    [
        ("GET", "cronjobs", 401, "Unauthorized", "; renew the credentials in {}"),
        ("GET", "jobs", 403, "olga cannot list", "; docs/operate.md says which rights it takes"),
        ("POST", "pods", 422, "exceeded quota", ""),
    ],
)
def test_a_request_that_is_refused_is_explained(
    cluster: StandIn, export: Path,
    method: str, kind: str, status: int, message: str, hint: str,
) -> None:  # fmt: skip
    cluster.refusals = {(method, kind): (status, message)}
    line = refused(cluster, "--export", export)
    assert line.startswith("http://127.0.0.1:")
    assert line.endswith(f": {message}{hint.format(cluster.folder / 'config')}")
    assert not cluster.kept["pods"]


def test_the_kubeconfig_is_looked_for_in_three_places(
    cluster: StandIn, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = export.parent
    k3s = home / "k3s.yaml"
    line = (
        f"{home}/config: Invalid kube-config file. Expected object with name away in {home}/config/"
    )
    assert refused(cluster, "--export", export, "--context", "away") == f"{line}contexts list"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("training_jobs.submit.cluster.K3S", k3s)
    assert refused(cluster, "--export", export) == (
        f"{home}/.kube/config: no such kubeconfig; set KUBECONFIG, or on the server itself:"
        f" mkdir -p ~/.kube && sudo cat {k3s} > ~/.kube/config"
    )
    for path in (k3s, home / ".kube/config"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        assert refused(cluster, "--export", export).startswith(f"{path}: Invalid kube-config.")


@pytest.mark.parametrize("silent", [False, True])
def test_a_cluster_that_does_not_answer_is_not_waited_for_long(
    cluster: StandIn, export: Path, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    path = export.parent / "config"
    monkeypatch.setattr("training_jobs.submit.cluster.TIMEOUT", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if silent else 1
        path.write_text(config(f"http://127.0.0.1:{port}"))
        reason = (
            "Read timed out. (read timeout=0.1)" if silent else "[Errno 111] Connection refused"
        )
        assert refused(cluster, "--export", export) == (
            f"http://127.0.0.1:{port} does not answer ({reason});"
            f" is the cluster up, and is {path} its kubeconfig?"
        )
