"""The Dockerfile and skaffold.yaml: an image has what it needs to run, and nothing else of ours."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import unmeasured
from tests.k8s.conftest import OVERLAYS, ROOT, containers, pods

COMMON = {"contracts", "telemetry"}
SERVICE = {*COMMON, "services/__init__.py"}
CLIENT = {"services/generation/__init__.py", "services/generation/client.py"}
FOLDERS = {
    "gateway": {*SERVICE, *CLIENT, "protos", "services/gateway"},
    "generation": {*SERVICE, "protos", "moderation", "services/generation"},
    "sandbox": {*SERVICE, "services/sandbox"},
    "extraction": {*COMMON, "extraction_jobs"},
    "training": {*COMMON, "moderation", "training_jobs"},
}
MODULES = {
    "gateway": ["services.gateway.__main__", "services.gateway.backup"],
    "generation": ["services.generation.__main__"],
    "sandbox": ["services.sandbox.__main__", "services.sandbox.server"],
    "extraction": ["extraction_jobs.build_dataset"],
    "training": [
        f"training_jobs.{job}"
        for job in ("fetch_base", "finetune", "convert", "evaluate", "publish", "versions")
    ],
}
STAGE = re.compile(r"^FROM (\S+) AS (\w+)\n(.*?)(?=^FROM)", re.MULTILINE | re.DOTALL)
STAGES = {
    name: (base, text) for base, name, text in STAGE.findall((ROOT / "Dockerfile").read_text())
}
SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())


def copies(stage: str) -> list[tuple[str, str]]:
    """What a stage and those that it is based on copy from this repository, and where to."""
    base, text = STAGES[stage]
    lines = re.findall(r"^COPY (?:--from=stubs /app/)?(?!--from)(.+)$", text, re.MULTILINE)
    pairs = [(source, target) for *some, target in map(str.split, lines) for source in some]
    return [*(copies(base) if base in STAGES else ()), *pairs]


def test_skaffold_builds_every_image_of_the_dockerfile() -> None:
    built = {one["image"]: one["docker"] for one in SKAFFOLD["build"]["artifacts"]}
    assert built == {
        f"persona-bots/{image}": {"dockerfile": "Dockerfile", "buildArgs": {"IMAGE": image}}
        for image in FOLDERS
    }
    for profile in (SKAFFOLD, *SKAFFOLD["profiles"]):
        for path in profile["manifests"]["kustomize"]["paths"]:
            assert (ROOT / path / "kustomization.yaml").is_file()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_runs_images_that_are_built_and_tagged(overlay: str) -> None:
    images = {one["image"] for pod in pods(overlay).values() for one in containers(pod)}
    ours = {image.partition(":")[0] for image in images if image.startswith("persona-bots/")}
    assert ours <= {f"persona-bots/{image}" for image in FOLDERS}
    assert all(":" in image for image in images)


@pytest.mark.parametrize("image", FOLDERS)
def test_an_image_has_what_it_imports_and_nothing_else_of_ours(image: str, tmp_path: Path) -> None:
    assert {source for source, _ in copies(image)} == FOLDERS[image]
    assert (ROOT / f"requirements/{image}.txt").is_file()
    for source, target in copies(image):
        place = tmp_path / target / (Path(source).name if target.endswith("/") else "")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place)
        else:
            shutil.copy(ROOT / source, place)
    imports = "; ".join(f"import {module}" for module in MODULES[image])
    command = [sys.executable, "-c", imports]
    done = subprocess.run(
        command, cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
