"""A checkout in which bots are taught, and a page on it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.services.sandbox.school import School, make_checkout, open_school


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = make_checkout(tmp_path / "checkout")
    monkeypatch.chdir(folder)
    before = os.umask(0o077)  # as the demo's process has it
    yield folder
    os.umask(before)


@pytest.fixture
async def school(checkout: Path) -> AsyncIterator[School]:
    async with open_school(checkout) as school:
        yield school
