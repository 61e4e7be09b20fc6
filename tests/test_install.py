"""What hinders the installation is said in one line."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "requirements/install.sh"


def install(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """By a Python that does as `python`, a shell script, says; a venv's is the same."""
    path = folder / "venv/bin/python"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{python}\n")
    path.chmod(0o700)
    command = [str(SCRIPT), str(folder / "venv"), "demo"]
    return subprocess.run(command, env={"PYTHON3": str(path)}, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        ("ERROR: [Errno 28] No space left on device", "ERROR: no space left on the disk of "),
        ("after connection broken by\nERROR: none found", "ERROR: PyPI cannot be reached; "),
        ("ERROR: something else", "ERROR: something else\n"),
    ],
)
def test_why_pip_fails_is_told(tmp_path: Path, pip_says: str, told: str) -> None:
    done = install(tmp_path, f"[ \"$2\" != pip ] || {{ echo '{pip_says}' >&2; exit 1; }}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(told)


def test_what_pip_does_well_is_silent(tmp_path: Path) -> None:
    done = install(tmp_path, '[ "$2" != pip ] || echo a warning >&2')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_python_says_how_to_name_another(tmp_path: Path) -> None:
    done = install(tmp_path, "exit 1")
    assert done.returncode == 2
    assert "PYTHON3=" in done.stderr


def test_a_package_whose_installation_was_broken_off_is_installed_anew(tmp_path: Path) -> None:
    packages = tmp_path / "venv/lib/python3.11/site-packages"
    for name, last in (("whole-1.0", "INSTALLER"), ("broken-1.0", "METADATA")):
        folder = packages / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / last).touch()
    assert install(tmp_path, "").returncode == 0
    assert [path.name for path in packages.iterdir()] == ["whole-1.0.dist-info"]
