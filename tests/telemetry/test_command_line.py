"""Whatever of ours a person or Kubernetes starts makes files for its own user alone."""

import importlib
import os
from pathlib import Path

import pytest

from telemetry.command_line import CommandLine

ROOT = Path(__file__).parents[2]
ROOMS = ("extraction_jobs", "training_jobs", "services")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
# what only another process of ours starts
MODULES.remove("services.generation.engine.child")
MODULES.remove("services.sandbox.check_bot")


@pytest.mark.parametrize("module", MODULES)
def test_each_command_of_ours_is_such_a_command_line(module: str) -> None:
    assert isinstance(importlib.import_module(module).app, CommandLine)


def test_it_makes_files_for_its_own_user_alone(tmp_path: Path) -> None:
    app = CommandLine()

    @app.command()
    def make() -> None:
        (tmp_path / "made").mkdir()

    before = os.umask(0o022)
    try:
        app([], standalone_mode=False)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
