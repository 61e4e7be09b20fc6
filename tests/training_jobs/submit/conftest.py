"""A cluster with two bots, an export, and a job that was started before."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.training_jobs.submit.standin import Resource, StandIn, served

MANIFEST = Path(__file__).parents[3] / "k8s/jobs/jobs.yaml"


def cronjob(bot: str) -> Resource:
    """Return the manifest of `learn` for a bot, as Kustomize would build it."""
    learn: Resource = yaml.safe_load(MANIFEST.read_text())["items"][0]
    learn["metadata"] |= {"name": f"learn-{bot}", "uid": f"uid-of-learn-{bot}"}
    job = learn["spec"]["jobTemplate"]
    labels = {**job["metadata"]["labels"], "persona-bots/bot": bot}
    for labelled in (learn, job, job["spec"]["template"]):
        labelled["metadata"]["labels"] = labels
    job["spec"]["template"]["spec"]["securityContext"] = {"runAsNonRoot": True}
    return learn


def config(address: str) -> str:
    return f"""
clusters: [{{name: c, cluster: {{server: "{address}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
contexts: [{{name: home, context: {{cluster: c, user: u, namespace: default}}}}]
current-context: home
"""


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_bytes(b'{"chats": "' + bytes(range(256)) * 4096 + b'"}')
    return path


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/config")
    standin = StandIn(tmp_path, [cronjob("avtobus"), cronjob("polkson")])
    with served(standin) as address:
        (tmp_path / "config").write_text(config(address))
        yield standin


def refused(cluster: StandIn, *arguments: object) -> str:
    """Run the command and return its line, without `error: `."""
    done = cluster.command(*arguments)
    assert (done.exit_code, done.stderr[:7]) == (2, "error: "), done.output
    return done.stderr.removeprefix("error: ").removesuffix("\n")


@pytest.fixture
def job(cluster: StandIn) -> str:
    """Start a job before the test, and return its name."""
    template = cluster.kept["cronjobs"]["learn-avtobus"]["spec"]["jobTemplate"]
    metadata = {**template["metadata"], "name": "learn-avtobus-1"}
    made = {"metadata": metadata, "spec": template["spec"], "status": {}}
    cluster.kept["jobs"]["learn-avtobus-1"] = made
    return "learn-avtobus-1"


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, whatever ran before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
