"""Tools of Debian that tests need: where one is missing they are skipped, except in CI."""

import os
import shutil
from ctypes.util import find_library

import pytest


def need(package: str, tool: str = "") -> None:
    """Skip a test whose tool, by default called like its package, is missing."""
    if shutil.which(tool or package) is None and find_library(tool) is None:
        assert not os.environ.get("CI"), f"Debian's package {package} is missing"
        pytest.skip(f"Debian's package {package} is missing")
