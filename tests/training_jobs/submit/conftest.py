"""A cluster with the bots of overlays/vds, and the command run against it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from kubernetes import client as k8s
from typer.testing import CliRunner

from tests.k8s.conftest import kinds, kubectl  # noqa: F401 (a fixture: skips where it is missing)
from tests.training_jobs.submit.standin import Server, StandIn
from training_jobs.submit.__main__ import app
from training_jobs.submit.follow import Patience

NAMESPACE = "persona-bots"


@pytest.fixture
def cluster(tmp_path: Path, kubectl: None) -> StandIn:  # noqa: F811
    (tmp_path / "data").mkdir()
    return StandIn(tmp_path, list(kinds("vds", "CronJob").values()))


@pytest.fixture
def kubeconfig(cluster: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with Server(cluster) as address:
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(config(address)))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield path


def config(address: str) -> dict[str, Any]:
    context = {"cluster": "c", "user": "u", "namespace": "default"}
    return {
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "home", "context": context}],
        "current-context": "home",
    }


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    path.write_bytes(b'{"chats": "' + bytes(range(256)) * 4096 + b'"}')
    return path


Command = Callable[..., Result]


@pytest.fixture
def command(cluster: StandIn, kubeconfig: Path) -> Command:
    """Runs it for avtobus; it waits as the stand-in's time passes."""

    def run(*arguments: object) -> Result:
        given = ["--bot", "avtobus", *map(str, arguments)]
        return CliRunner().invoke(app, given, obj=Patience(cluster.tick, polls=5))

    return run


def hints(job: str) -> str:
    return f"python -m training_jobs.submit --bot avtobus --follow {job}"


@pytest.fixture
def job(cluster: StandIn) -> str:
    """One that was started before."""
    template = cluster.kept["cronjobs"]["learn-avtobus"].spec.job_template
    metadata = k8s.V1ObjectMeta(name="learn-avtobus-1", labels=template.metadata.labels)
    made = k8s.V1Job(metadata=metadata, spec=template.spec, status=k8s.V1JobStatus())
    cluster.kept["jobs"]["learn-avtobus-1"] = made
    return "learn-avtobus-1"
