"""How full the volumes are on which a process works, as `df` counts it."""

import os
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge


def watch_volumes(registry: CollectorRegistry, service: str, **folders: Path) -> None:
    """Expose `persona_<service>_volume_used_ratio` of each folder's file system, as of a scrape."""
    text = "Used part of the file system that the volume lies on."
    gauge = Gauge(f"persona_{service}_volume_used_ratio", text, ("volume",), registry=registry)
    for name, folder in folders.items():
        gauge.labels(name).set_function(partial(used_ratio, folder))


def used_ratio(folder: Path) -> float:
    """Not a number where there is no such folder (yet)."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return float("nan")
    used = found.f_blocks - found.f_bfree
    return used / max(1, used + found.f_bavail)
