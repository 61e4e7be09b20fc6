"""What is installed is what was tried: versions, hashes and commits, and none of a mirror."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted(ROOT.glob("requirements/*.txt"))
ENTRY = re.compile(
    r"^([a-z0-9][\w.-]*)==([\w.+!]+)((?: \\\n +--hash=sha256:[0-9a-f]{64})*)\n", re.MULTILINE
)


def entries(lock: Path) -> dict[str, tuple[str, str]]:
    """The version and the hashes of each package."""
    return {name: (version, hashes) for name, version, hashes in ENTRY.findall(lock.read_text())}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_but_torch_is_locked_with_its_hashes(lock: Path) -> None:
    assert ENTRY.sub("", lock.read_text()) == ""
    assert [name for name, (_, hashes) in entries(lock).items() if not hashes] in ([], ["torch"])


def test_all_locks_have_the_same_versions() -> None:
    versions: dict[str, str] = {}
    for lock in LOCKS:
        for name, (version, _) in entries(lock).items():
            assert versions.setdefault(name, version) == version, f"{lock.name}: {name}"


def test_what_serves_has_no_client_of_the_hub() -> None:
    for image in ("gateway", "generation", "sandbox", "extraction"):
        assert "huggingface-hub" not in entries(ROOT / f"requirements/{image}.txt")


def test_images_are_built_from_a_full_version() -> None:
    bases = re.findall(r"^FROM (\S+[/:]\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"docker\.io/\S+:\d+\.\d+\.\d+[\w.-]*", base) for base in bases)


def test_actions_are_named_by_commit() -> None:
    for workflow in ROOT.glob(".github/workflows/*.yml"):
        for action in re.findall(r"uses: (.*)", workflow.read_text()):
            assert re.fullmatch(r"\S+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
