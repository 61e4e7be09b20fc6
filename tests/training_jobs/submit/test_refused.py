"""What keeps the command from beginning; the rights that it takes."""

import socket
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.k8s.conftest import ROOT
from tests.training_jobs.submit.conftest import Command, config, hints
from tests.training_jobs.submit.standin import StandIn
from tests.training_jobs.submit.test_follow import whole
from training_jobs.submit.__main__ import app


def refused(command: Command, *arguments: object) -> str:
    done = command(*arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    return done.stderr


def test_one_of_two_things_is_to_be_done(command: Command, export: Path) -> None:
    line = "error: give either --export FILE or --follow JOB\n"
    assert refused(command) == line
    assert refused(command, "--export", export, "--follow", "j") == line


def test_an_unknown_bot_is_told_which_there_are(command: Command, export: Path) -> None:
    assert refused(command, "--bot", "tramvaj", "--export", export) == (
        "error: no bot tramvaj in the namespace persona-bots; there are: avtobus, polkson\n"
    )


def test_a_namespace_without_bots_is_told(command: Command, cluster: StandIn, export: Path) -> None:
    cluster.kept["cronjobs"].clear()
    assert refused(command, "--export", export, "--namespace", "other") == (
        "error: no bot avtobus in the namespace other;"
        " nor any other; kubectl apply -k k8s/overlays/vds\n"
    )


def test_a_bot_that_is_learning_is_not_disturbed(
    command: Command,
    cluster: StandIn,
    export: Path,
    job: str,
) -> None:
    assert refused(command, "--export", export) == (
        f"error: {job} is still at work; follow it: {hints(job)};"
        f" or end it: kubectl -n persona-bots delete job {job}\n"
    )
    cluster.finish()
    assert command("--export", export, "--no-follow").exit_code == 0


@pytest.mark.parametrize(
    ("resource", "right"),
    [
        ("cronjobs", "get"),
        ("jobs", "list"),
        ("pods", "create"),
        ("pods/exec", "get"),
        ("pods/exec", "create"),
        ("jobs", "create"),
    ],
)
def test_a_missing_right_is_named_with_its_remedy(
    command: Command, cluster: StandIn, export: Path, resource: str, right: str
) -> None:
    message = f'forbidden: User "olga" cannot {right} resource "{resource}" in API group "" in the'
    cluster.forbidden = {(right, resource): message}
    done = command("--export", export)
    assert done.stderr == (
        f"error: olga may not {right} {resource} in persona-bots;"
        " bind it to the Role submit (k8s/base/submit.yaml)\n"
    )
    assert done.exit_code == 2
    assert not cluster.kept["pods"]


def test_another_prohibition_is_told_in_the_clusters_words(
    command: Command, cluster: StandIn, export: Path
) -> None:
    cluster.forbidden = {("create", "pods"): "exceeded quota: compute"}
    assert refused(command, "--export", export).endswith(": exceeded quota: compute\n")


@pytest.fixture
def alone(tmp_path: Path, export: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command with a kubeconfig that may not be there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("training_jobs.submit.__main__.K3S", tmp_path / "k3s.yaml")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    given = ["--bot", "avtobus", "--export", str(export)]
    return lambda *arguments: CliRunner().invoke(app, [*given, *arguments])


def test_no_kubeconfig_is_told_with_where_k3s_has_one(alone: Command, tmp_path: Path) -> None:
    assert refused(alone) == (
        f"error: {tmp_path}/.kube/config: no such kubeconfig; set KUBECONFIG, or on the server"
        f" itself: mkdir -p ~/.kube && sudo cat {tmp_path}/k3s.yaml > ~/.kube/config\n"
    )


def test_k3s_own_kubeconfig_serves_where_there_is_no_other(alone: Command, tmp_path: Path) -> None:
    (tmp_path / "k3s.yaml").write_text("")
    assert refused(alone).startswith(f"error: {tmp_path}/k3s.yaml: Invalid kube-config.")


def test_an_unknown_context_is_told(
    alone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("http://127.0.0.1:1")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert refused(alone, "--context", "away") == (
        f"error: {path}: Invalid kube-config file."
        f" Expected object with name away in {path}/contexts list\n"
    )


def test_a_cluster_that_is_down_is_told_at_once(
    alone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("http://127.0.0.1:1")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    assert refused(alone) == (
        "error: http://127.0.0.1:1 does not answer ([Errno 111] Connection refused);"
        f" is the cluster up, and is {path} its kubeconfig?\n"
    )


def test_a_cluster_that_says_nothing_is_not_waited_for_long(
    alone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("training_jobs.submit.__main__.TIMEOUT", (0.1, 0.1))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        path.write_text(yaml.safe_dump(config(address)))
        assert refused(alone) == (
            f"error: {address} does not answer (Read timed out. (read timeout=0.1));"
            f" is the cluster up, and is {path} its kubeconfig?\n"
        )


def test_credentials_that_have_expired_are_told(
    command: Command, cluster: StandIn, kubeconfig: Path, export: Path
) -> None:
    cluster.stranger = True
    assert refused(command, "--export", export).endswith(
        f" does not know the user of {kubeconfig}; renew its credentials\n"
    )


def test_the_role_allows_what_is_asked_for_and_nothing_else(
    command: Command, cluster: StandIn, export: Path
) -> None:
    cluster.play = whole(cluster)
    assert command("--export", export).exit_code == 0
    refused(command, "--bot", "tramvaj", "--export", export)
    role = yaml.safe_load((ROOT / "k8s/base/submit.yaml").read_text())
    allowed = {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert allowed == cluster.asked
    batch = [rule["resources"] for rule in role["rules"] if rule["apiGroups"] == ["batch"]]
    assert batch == [["cronjobs"], ["jobs"]]
