"""`make new-bot` creates everything that another bot needs except its description."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from contracts.bot_file import BotFile
from tests.k8s.builds import kustomized
from tests.k8s.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def new_bot(project: Path, name: str, target: str = "new-bot") -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(project), target, f"NAME={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_new_bot_has_the_resources_of_the_others(project: Path) -> None:
    made = new_bot(project, "vasya")
    assert made.returncode == 0
    assert "names_at: edge" in made.stdout
    assert BotFile.read(project / "k8s/bots/vasya").name == "vasya"
    resources = kustomized(project / "k8s/overlays/vds")
    names = [one["metadata"]["name"] for one in resources]

    def of_bot(bot: str) -> set[str]:
        return {name.removesuffix(bot) for name in names if name.endswith(f"-{bot}")}

    assert of_bot("vasya") == of_bot("polkson")
    assert "vasya.yaml" in resources[names.index("bots")]["data"]
    tokens = yaml.safe_load((project / "k8s/components/token-file/kustomization.yaml").read_text())
    assert {"name": "vasya-telegram", "envs": ["vasya.env"]} in tokens["secretGenerator"]


NAMES = ["", "Вася", "Vasya", "-x", "a" * 33, "a b", "avtobus", "kustomization"]


def test_a_bot_that_is_removed_leaves_nothing(project: Path) -> None:
    before = _contents(project)
    assert new_bot(project, "avtobus-2").returncode == 0
    for _ in range(2):
        assert new_bot(project, "avtobus-2", "remove-bot").returncode == 0
        assert _contents(project) == before
    assert new_bot(project, "../bots", "remove-bot").returncode == 2


def _contents(project: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES)
def test_an_invalid_name_changes_nothing(project: Path, name: str) -> None:
    before = sorted(project.rglob("*"))
    refused = new_bot(project, name)
    assert refused.returncode == 2
    assert "error: " in refused.stderr
    assert sorted(project.rglob("*")) == before
