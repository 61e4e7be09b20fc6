"""Metrics of how full the volumes of a service are."""

import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge


def watch_volumes(service: str, volumes: Mapping[str, Path], registry: CollectorRegistry) -> None:
    """Register `persona_<service>_volume_used_ratio`, measured whenever the metrics are read."""
    name, text = f"persona_{service}_volume_used_ratio", "Used share of a volume, as df counts it."
    gauge = Gauge(name, text, ["volume"], registry=registry)
    for volume, folder in volumes.items():
        gauge.labels(volume).set_function(partial(used_ratio, folder))


def used_ratio(folder: Path) -> float:
    """Return the used share of the space that is not reserved for root; NaN without the folder."""
    with suppress(OSError):
        disk = shutil.disk_usage(folder)
        return disk.used / max(1, disk.used + disk.free)
    return math.nan
