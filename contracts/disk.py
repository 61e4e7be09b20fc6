"""What has to be on disk before somebody is told that it is done."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
