"""What the command refuses before it changes anything on the cluster."""

import socket

import pytest

from tests.training_jobs.submit.conftest import config, refusal
from tests.training_jobs.submit.standin import JOB, StandIn


def test_a_new_export_the_stored_one_or_a_job_is_required(cluster: StandIn) -> None:
    for done in (cluster.command(), cluster.submit("--follow", "j"), cluster.submit("--again")):
        assert refusal(done) == "give one of --export FILE, --again and --follow JOB"


def test_this_machine_is_checked_before_the_cluster(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cluster.folder / "page.html").write_text("<html>")
    monkeypatch.setenv("PATH", "")
    for path, line in {
        cluster.folder / "no.json": "cannot be read (No such file or directory)",
        cluster.folder: "is a folder; give the result.json in it",
        cluster.folder / "page.html": "is no result.json; export the chat as JSON",
    }.items():
        assert refusal(cluster.command("--export", path)) == f"--export {path}: {line}"
    line = "kubectl, which carries the export, is not installed (docs/deploy.md)"
    assert refusal(cluster.submit()) == line
    assert not cluster.requests


def test_an_unknown_bot_is_refused_with_a_list_of_the_bots(cluster: StandIn) -> None:
    line = "no bot tramvaj in the namespace persona-bots; there are: avtobus, polkson"
    assert refusal(cluster.submit("--bot", "tramvaj")) == line
    cluster.kept["cronjobs"].clear()
    line = "no bot avtobus in the namespace n; nor any other; kubectl apply -k k8s/overlays/vds"
    assert refusal(cluster.submit("--namespace", "n")) == line


def test_a_bot_that_is_learning_is_not_disturbed(learning: StandIn) -> None:
    assert refusal(learning.submit()) == (
        f"{JOB} is at work; follow it with --follow {JOB},"
        f" or end it: kubectl -n persona-bots delete job {JOB}"
    )
    learning.finish()
    assert learning.submit("--no-follow").exit_code == 0


@pytest.mark.parametrize(
    ("request_kind", "status", "message", "hint"),
    [
        (("GET", "cronjobs"), 401, "Unauthorized", "; renew the credentials in {}"),
        (("GET", "jobs"), 403, "olga cannot", "; docs/operate.md says which rights it takes"),
        (("POST", "pods"), 422, "exceeded quota", ""),
    ],
)
def test_a_request_that_the_cluster_refuses_is_explained(
    cluster: StandIn, request_kind: tuple[str, str], status: int, message: str, hint: str
) -> None:
    cluster.refusals = {request_kind: (status, message)}
    line = refusal(cluster.submit())
    assert line.startswith("http://127.0.0.1:")
    assert line.endswith(f": {message}{hint.format(cluster.folder / 'config')}")
    assert not cluster.kept["pods"]


def test_the_kubeconfig_is_looked_for_in_three_places(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, k3s = cluster.folder, cluster.folder / "k3s.yaml"
    line = f"{home}/config: Invalid kube-config file. Expected object with name away in"
    assert refusal(cluster.submit("--context", "away")) == f"{line} {home}/config/contexts list"
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("training_jobs.submit.cluster.K3S", k3s)
    assert refusal(cluster.submit()) == (
        f"{home}/.kube/config: no such kubeconfig; set KUBECONFIG, or on the server itself:"
        f" mkdir -p ~/.kube && sudo cat {k3s} > ~/.kube/config"
    )
    for path in (k3s, home / ".kube/config"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        assert refusal(cluster.submit()).startswith(f"{path}: Invalid kube-config.")


@pytest.mark.parametrize(
    ("silent", "reason"),
    [(True, "Read timed out. (read timeout=0.1)"), (False, "[Errno 111] Connection refused")],
)
def test_a_cluster_that_does_not_answer_is_given_up_soon(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch, silent: bool, reason: str
) -> None:
    monkeypatch.setattr("training_jobs.submit.cluster.TIMEOUT", (0.1, 0.1))
    path = cluster.folder / "config"
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1] if silent else 1}"
        path.write_text(config(address))
        hint = f"is the cluster up, and is {path} its kubeconfig?"
        assert refusal(cluster.submit()) == f"{address} does not answer ({reason}); {hint}"
