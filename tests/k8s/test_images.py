"""The Dockerfile and skaffold.yaml: an image has what it needs to run, and nothing else of ours."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
import yaml

from tests.k8s.builds import all_containers, built
from tests.k8s.conftest import OVERLAYS, ROOT

COMMON = {"contracts", "telemetry"}
SERVICE = {*COMMON, "services/__init__.py"}
AIOGRAM = "services/deferred_aiogram.py"
CLIENT = {"services/generation/__init__.py", "services/generation/client.py"}
FOLDERS = {
    "gateway": {*SERVICE, *CLIENT, AIOGRAM, "protos", "services/gateway"},
    "generation": {*SERVICE, "protos", "moderation", "services/generation"},
    "sandbox": {*SERVICE, AIOGRAM, "services/sandbox"},
    "extraction": {*COMMON, "moderation", "extraction_jobs"},
    "training": {*COMMON, "moderation", "training_jobs"},
}
TRAINING = ("fetch_base", "finetune", "convert", "evaluate", "publish", "versions")
MODULES = {
    "gateway": ["services.gateway.__main__", "services.gateway.backup"],
    "generation": ["services.generation.__main__"],
    "sandbox": ["services.sandbox.__main__", "services.sandbox.server"],
    "extraction": ["extraction_jobs.build_dataset"],
    "training": [f"training_jobs.{job}" for job in TRAINING],
}
IMAGES = {f"persona-bots/{image}" for image in FOLDERS}
STAGE = re.compile(r"^FROM (\S+) AS (\w+)\n(.*?)(?=^FROM)", re.MULTILINE | re.DOTALL)
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGES = {name: (base, text) for base, name, text in STAGE.findall(DOCKERFILE)}
SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())


def copies(stage: str) -> list[tuple[str, str]]:
    """Return what a stage and its bases copy from this repository: pairs of source and target."""
    base, text = STAGES[stage]
    lines = re.findall(r"^COPY (?:--from=stubs /app/)?(?!--from)(.+)$", text, re.MULTILINE)
    pairs = [(source, target) for *some, target in map(str.split, lines) for source in some]
    return [*(copies(base) if base in STAGES else ()), *pairs]


def test_skaffold_builds_every_image_of_the_dockerfile() -> None:
    for one in SKAFFOLD["build"]["artifacts"]:
        image = one["image"].removeprefix("persona-bots/")
        assert one["docker"] == {"dockerfile": "Dockerfile", "buildArgs": {"IMAGE": image}}
    assert {one["image"] for one in SKAFFOLD["build"]["artifacts"]} == IMAGES
    for profile in (SKAFFOLD, *SKAFFOLD["profiles"]):
        for path in profile["manifests"]["kustomize"]["paths"]:
            assert (ROOT / path / "kustomization.yaml").is_file()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_runs_images_that_are_built(overlay: str) -> None:
    images = {one["image"] for _, one in all_containers(overlay)}
    assert {name.split(":")[0] for name in images if name.startswith("persona-bots/")} <= IMAGES


@pytest.mark.parametrize("image", FOLDERS)
def test_an_image_has_what_it_imports_and_nothing_else_of_ours(image: str, tmp_path: Path) -> None:
    assert {source for source, _ in copies(image)} == FOLDERS[image]
    assert (ROOT / f"requirements/{image}.txt").is_file()
    for source, target in copies(image):
        place = tmp_path / target / (Path(source).name if target.endswith("/") else "")
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, place)
    command = [sys.executable, "-c", f"import {', '.join(MODULES[image])}"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, stderr=PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_images_are_pinned_to_the_digests_of_a_registry(tmp_path: Path) -> None:
    """With a docker that answers with the hash of the name that it is asked for."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "sha256:$(printf %s "$6" | sha256sum | cut -c1-64)"\n')
    docker.chmod(0o755)

    def pin(after: str = "") -> "subprocess.CompletedProcess[str]":
        path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        script, text = ROOT / "k8s/pin_images.sh", yaml.safe_dump_all(built("vds")) + after
        return subprocess.run(script, input=text, env=path, text=True, stdout=PIPE, check=False)

    pinned = pin().stdout
    for image, digest in re.findall(r"image: (\S+)@sha256:(\S+)", pinned):
        assert hashlib.sha256(image.encode()).hexdigest() == digest
    assert list(yaml.safe_load_all(re.sub(r"@sha256:\S+", "", pinned))) == built("vds")
    assert pinned.count("@sha256:") == pinned.count("image: ")
    for unseen in ("image: busybox ", "image: busybox:1 # small", "- {name: a, image: b:1}"):
        assert pin(f"---\nspec:\n  {unseen}\n").returncode == 1
    docker.write_text("#!/bin/sh\n")
    assert pin().returncode == 1
