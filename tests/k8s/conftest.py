"""The names of bots, overlays and builds; tests are skipped where a tool is missing."""

import itertools
from pathlib import Path

import pytest
import yaml

from tests.debian_package import need

ROOT = Path(__file__).parents[2]
LISTED = yaml.safe_load((ROOT / "k8s/bots/kustomization.yaml").read_text())
BOTS: list[str] = sorted(LISTED["resources"])
OVERLAYS = sorted(path.parent.name for path in ROOT.glob("k8s/overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in ROOT.glob("k8s/components/*/kustomization.yaml"))
CHOICES = [("", component) for component in COMPONENTS]
COMBINATIONS = ["+".join(filter(None, some)) for some in itertools.product(*CHOICES)]
BUILDS = [*OVERLAYS, *COMBINATIONS]
"""The names of all builds: overlays, and base and bots with each set of components (`a+b`)."""
WHOLE = "+".join(COMPONENTS)
COMPLETE = [*OVERLAYS, WHOLE]


@pytest.fixture(autouse=True, scope="session")
def kubectl() -> None:
    need("kubectl")
