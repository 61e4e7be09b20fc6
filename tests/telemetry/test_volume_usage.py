"""The share of a volume that is used."""

import math
import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from telemetry.volume_usage import used_ratio, watch_volumes


def test_it_is_what_df_says(tmp_path: Path) -> None:
    told = subprocess.run(
        ["df", "--output=used,avail", tmp_path], capture_output=True, text=True, check=True
    )
    used, free = map(int, told.stdout.split()[-2:])
    assert used_ratio(tmp_path) == pytest.approx(used / (used + free), abs=0.01)


def test_what_root_keeps_for_itself_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    values = (4096, 4096, 100, 40, 20, 0, 0, 0, 0, 255)  # 100 blocks, 40 free, 20 for us
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    assert used_ratio(Path("/")) == 60 / 80


def test_a_folder_that_is_not_there_breaks_nothing(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    watch_volumes("generation", {"models": tmp_path / "none"}, registry)
    name, labels = "persona_generation_volume_used_ratio", {"volume": "models"}
    told = registry.get_sample_value(name, labels)
    assert told is not None
    assert math.isnan(told)
    (tmp_path / "none").mkdir()
    assert registry.get_sample_value(name, labels) == pytest.approx(used_ratio(tmp_path), abs=0.01)
