"""Overlays and components as kubectl builds them."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.k8s.conftest import BOTS, OVERLAYS, ROOT

Resource = dict[str, Any]


@functools.cache
def tree() -> Path:
    """Return a copy of k8s/ with token files, which is deleted at exit."""
    folder = Path(tempfile.mkdtemp(prefix="k8s-"))
    atexit.register(shutil.rmtree, folder)
    shutil.copytree(ROOT / "k8s", folder / "k8s")
    tokens = folder / "k8s/components/token-file"
    for bot in BOTS:
        shutil.copy(tokens / "token.env.example", tokens / f"{bot}.env")
    return folder / "k8s"


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
            "namespace": "persona-bots",
            "resources": ["../../base", "../../bots"],
            "components": [f"../../components/{each}" for each in filter(None, name.split("+"))],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(wanted))
    return kustomized(folder)


def kustomized(folder: Path) -> list[Resource]:
    command = ["kubectl", "kustomize", str(folder)]
    build = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (build.returncode, build.stderr) == (0, "")  # deprecations go to stderr
    return list(yaml.load_all(build.stdout, Loader))


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


def all_containers(name: str, kind: str = "") -> list[tuple[str, Resource]]:
    """Return every container of a build after its pod's kind and name; of one kind if given."""
    chosen = [(each, pod) for each, pod in pods(name).items() if each.startswith(kind)]
    return [(each, container) for each, pod in chosen for container in containers(pod)]


def environment(pod: Resource) -> dict[str, Resource]:
    """Return the variables of the pod's first main container, by name."""
    return {one["name"]: one for one in pod["containers"][0].get("env", ())}
