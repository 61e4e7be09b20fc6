"""Dockerfiles and skaffold.yaml: their paths exist, and what an image copies is enough to run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import unmeasured
from tests.k8s.conftest import OVERLAYS, ROOT, pods

SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
DOCKERFILES = {
    one["image"]: ROOT / one["docker"]["dockerfile"] for one in SKAFFOLD["build"]["artifacts"]
}
MODULES = {
    "persona-bots/gateway": ["services.gateway.__main__"],
    "persona-bots/generation": ["services.generation.__main__"],
    "persona-bots/sandbox": ["services.sandbox.__main__", "services.sandbox.server"],
    "persona-bots/extraction": ["extraction_jobs.build_dataset"],
    "persona-bots/training": [
        "training_jobs.finetune",
        "training_jobs.convert",
        "training_jobs.evaluate",
        "training_jobs.publish",
    ],
}


def images(overlay: str) -> set[str]:
    return {pod["containers"][0]["image"] for pod in pods(overlay).values()}


def test_skaffold_builds_what_the_overlays_run() -> None:
    assert {image.partition(":")[0] for image in images("local")} == set(DOCKERFILES)
    assert all(":" in image for overlay in OVERLAYS for image in images(overlay))
    profiles: list[dict[str, Any]] = [SKAFFOLD, *SKAFFOLD["profiles"]]
    for profile in profiles:
        for path in profile["manifests"]["kustomize"]["paths"]:
            assert (ROOT / path / "kustomization.yaml").is_file()
    assert set(DOCKERFILES.values()) == set(ROOT.glob("*/Dockerfile")) | set(
        ROOT.glob("services/*/Dockerfile")
    )


@pytest.mark.parametrize("image", sorted(DOCKERFILES))
def test_what_an_image_copies_is_enough_to_import_what_it_runs(image: str, tmp_path: Path) -> None:
    text = DOCKERFILES[image].read_text()
    lock = re.search(r"install\.sh /venv (\w+)", text)
    assert lock
    assert (ROOT / f"requirements/{lock[1]}.txt").is_file()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / target / (Path(source).name if target.endswith("/") else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, place)
    imports = "; ".join(f"import {module}" for module in MODULES[image])
    command = [sys.executable, "-c", imports]
    done = subprocess.run(
        command, cwd=tmp_path, env=unmeasured(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
