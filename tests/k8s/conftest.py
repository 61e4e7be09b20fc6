"""Overlays as kubectl builds them, and the tool's absence."""

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
LISTED = yaml.safe_load((ROOT / "k8s/bots/Kustomization").read_text())
BOTS: list[str] = sorted(LISTED["resources"])

Resource = dict[str, Any]


def need(tool: str, package: str) -> None:
    """Skip where there is no such tool, except in the gate."""
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
def built(overlay: str) -> list[Resource]:
    return kustomized(ROOT / "k8s/overlays" / overlay)


def kustomized(folder: Path) -> list[Resource]:
    made = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert not made.stderr, made.stderr  # deprecations are told there
    return list(yaml.safe_load_all(made.stdout))


def kinds(overlay: str, kind: str) -> dict[str, Resource]:
    """The overlay's resources of a kind by name."""
    return {one["metadata"]["name"]: one for one in built(overlay) if one["kind"] == kind}


def pods(overlay: str) -> dict[str, Resource]:
    """The specification of each pod, by kind and name."""
    found = {}
    for one in built(overlay):
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[f"{one['kind']}/{one['metadata']['name']}"] = spec["template"]["spec"]
    return found
