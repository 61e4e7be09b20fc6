"""Overlays and components as kubectl builds them; tests are skipped where a tool is missing."""

import functools
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LISTED = yaml.safe_load((ROOT / "k8s/bots/kustomization.yaml").read_text())
BOTS: list[str] = sorted(LISTED["resources"])
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in ROOT.glob("k8s/components/*/kustomization.yaml"))
COMBINATIONS = [
    "+".join(some)
    for count in range(len(COMPONENTS) + 1)
    for some in itertools.combinations(COMPONENTS, count)
]
BUILT = [*OVERLAYS, *COMBINATIONS]
"""What is built: overlays, and base and bots with every combination of components (`a+b`)."""
WHOLE = "+".join(COMPONENTS)

Resource = dict[str, Any]


def need(tool: str, package: str) -> None:
    """Skip the test where the tool is missing, except in CI."""
    if shutil.which(tool) is None:
        assert not os.environ.get("CI"), f"{package} is missing"
        pytest.skip(f"{package} is missing")


@pytest.fixture(autouse=True, scope="session")
def kubectl() -> None:
    need("kubectl", "kubectl")


@pytest.fixture(scope="session")
def promtool() -> None:
    need("promtool", "prometheus")


@functools.cache
def tree() -> Path:
    """Return a copy of k8s/ with token files."""
    folder = Path(tempfile.mkdtemp(prefix="k8s-"))
    shutil.copytree(ROOT / "k8s", folder / "k8s")
    tokens = folder / "k8s/components/token-file"
    for bot in BOTS:
        shutil.copy(tokens / "token.env.example", tokens / f"{bot}.env")
    return folder / "k8s"


@pytest.fixture(autouse=True, scope="session")
def delete_the_copy() -> Iterator[None]:
    yield
    if tree.cache_info().currsize:
        shutil.rmtree(tree().parent)


class Loader(yaml.CSafeLoader):
    """Refuses a duplicate key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"duplicate key: {node.start_mark}"
        return super().construct_mapping(node, deep)


@functools.cache
def built(name: str) -> list[Resource]:
    folder = tree() / "overlays" / name
    if name not in OVERLAYS:
        folder = tree() / "combined" / (name or "none")
        folder.mkdir(parents=True)
        wanted = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": "persona-bots",
            "resources": ["../../base", "../../bots"],
            "components": [f"../../components/{each}" for each in filter(None, name.split("+"))],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    return kustomized(folder)


def kustomized(folder: Path) -> list[Resource]:
    made = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr, made.stderr  # deprecations are printed there
    return list(yaml.load_all(made.stdout, Loader))


def kinds(name: str, kind: str) -> dict[str, Resource]:
    """Return the resources of a kind, by name."""
    return {one["metadata"]["name"]: one for one in built(name) if one["kind"] == kind}


def templates(name: str) -> dict[str, Resource]:
    """Return each pod template, by kind and name."""
    found = {}
    for one in built(name):
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[f"{one['kind']}/{one['metadata']['name']}"] = spec["template"]
    return found


def pods(name: str) -> dict[str, Resource]:
    """Return each pod's specification, by kind and name."""
    return {each: template["spec"] for each, template in templates(name).items()}


def containers(pod: Resource) -> list[Resource]:
    """Return all containers of a pod, init containers first."""
    return [*(pod.get("initContainers") or ()), *pod["containers"]]
