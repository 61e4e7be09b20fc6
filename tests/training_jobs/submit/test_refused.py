"""What the command refuses before it changes anything on the cluster."""

import socket
from pathlib import Path

import pytest

from contracts.clock import Clock
from contracts.refusal import Refusal
from tests.debian_package import need
from tests.training_jobs.submit.conftest import refusal
from tests.training_jobs.submit.standin import JOB, NOISE, StandIn
from training_jobs.submit.cluster import Cluster, NotReady


def test_a_new_export_the_stored_one_or_a_job_is_required(cluster: StandIn) -> None:
    for done in (cluster.command(), cluster.submit("--follow", "j"), cluster.submit("--again")):
        assert refusal(done) == "give one of --export FILE, --again and --follow JOB"


def test_this_machine_is_checked_before_the_cluster(
    cluster: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cluster.folder / "notes.txt").write_text("купить грабли")
    for path, line in {
        cluster.folder / "no.json": "cannot be read (No such file or directory)",
        cluster.folder: "is a folder; give its result.json, or pack it as zip",
        cluster.folder / "notes.txt": "is no export of a chat (docs/export.md)",
    }.items():
        assert refusal(cluster.command("--export", path)) == f"--export {path}: {line}"
    assert not cluster.calls
    monkeypatch.setenv("PATH", "")
    assert refusal(cluster.submit()) == "kubectl is not installed (docs/deploy.md)"


def test_an_unknown_bot_is_refused_with_a_list_of_the_bots(cluster: StandIn) -> None:
    line = "no bot tramvaj in the namespace persona-bots; there are: avtobus, polkson"
    assert refusal(cluster.submit("--bot", "tramvaj")) == line
    cluster.kept["cronjobs"].clear()
    assert "nor any other; kubectl apply -k k8s/overlays/vds" in refusal(cluster.submit())


def test_a_bot_that_is_learning_is_not_disturbed(learning: StandIn) -> None:
    assert refusal(learning.submit()) == (
        f"{JOB} is at work; follow it with --follow {JOB},"
        f" or end it: kubectl -n persona-bots delete job {JOB}"
    )
    learning.finish()
    assert learning.submit("--no-follow").exit_code == 0


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (("get", "cronjob"), "error: You must be logged in", "You must be logged in"),
        (("get", "job"), "Error from server (Forbidden): no", "Error from server (Forbidden): no"),
        (("create", "pod"), f"{NOISE}error: exceeded quota", "exceeded quota"),
        (("create", "job"), NOISE, "kubectl ended with code 1"),
    ],
)
def test_what_kubectl_refuses_is_said_in_its_words(
    cluster: StandIn, call: tuple[str, str], error: str, reason: str
) -> None:
    cluster.refusals = {call: error}
    assert refusal(cluster.submit()) == reason
    assert not cluster.kept["pods"]


def test_a_cluster_that_is_not_there_is_away_in_kubectls_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("kubectl", "kubectl")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("training_jobs.submit.cluster.TIMEOUT", "20ms")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            (tmp_path / "config").write_text(
                f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
                "contexts: [{name: home, context: {cluster: c}}]\ncurrent-context: home\n"
            )
            with pytest.raises(NotReady, match="connect"):
                Cluster(Clock()).get("pod", "x")
    (tmp_path / "config").write_text("current-context: away\n")
    with pytest.raises(Refusal, match="context was not found") as refused:
        Cluster(Clock()).get("pod", "x")
    assert not isinstance(refused.value, NotReady)
