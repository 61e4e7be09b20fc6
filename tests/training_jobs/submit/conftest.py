"""A cluster with two bots, on which one may be learning already."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from tests.training_jobs.submit.standin import JOB, Resource, StandIn

MANIFEST = Path(__file__).parents[3] / "k8s/jobs/jobs.yaml"


def cronjob(bot: str) -> Resource:
    """Return the manifest of `learn` for a bot, as Kustomize would build it."""
    learn: Resource = yaml.safe_load(MANIFEST.read_text())["items"][0]
    learn["metadata"] |= {"name": f"learn-{bot}"}
    job = learn["spec"]["jobTemplate"]
    labels = {**job["metadata"]["labels"], "persona-bots/bot": bot}
    for labelled in (learn, job, job["spec"]["template"]):
        labelled["metadata"]["labels"] = labels
    job["spec"]["template"]["spec"]["securityContext"] = {"runAsNonRoot": True}
    return learn


def refusal(done: Result) -> str:
    """Return the text with which the command refused, without `error: `."""
    assert (done.exit_code, done.stderr[:7]) == (2, "error: "), done.output
    return done.stderr.removeprefix("error: ").removesuffix("\n")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # which a shell may have changed
    standin = StandIn(tmp_path, {f"learn-{bot}": cronjob(bot) for bot in ("avtobus", "polkson")})
    monkeypatch.setattr(subprocess, "run", standin.run)
    yield standin
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def learning(cluster: StandIn) -> StandIn:
    """The cluster after JOB has been started."""
    template = cluster.kept["cronjobs"]["learn-avtobus"]["spec"]["jobTemplate"]
    metadata = {**template["metadata"], "name": JOB}
    cluster.kept["jobs"][JOB] = {"metadata": metadata, "spec": template["spec"], "status": {}}
    return cluster
