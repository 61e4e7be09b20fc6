"""How full the volumes are that a service writes to or reads."""

import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge


def watch_volumes(service: str, volumes: Mapping[str, Path], registry: CollectorRegistry) -> None:
    """Tell `persona_<service>_volume_used_ratio` of each folder whenever it is asked for."""
    name, text = f"persona_{service}_volume_used_ratio", "Used share of a volume, as df counts it."
    gauge = Gauge(name, text, ["volume"], registry=registry)
    for volume, folder in volumes.items():
        gauge.labels(volume).set_function(partial(used_ratio, folder))


def used_ratio(folder: Path) -> float:
    """Of the space that is not kept for root; no number where there is no folder (yet)."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return math.nan
    return disk.used / max(1, disk.used + disk.free)
