"""The exports that extraction is measured with are what its reader takes, to the last message."""

from pathlib import Path

import pytest

from benchmarks.support.made_exports import PERSONA, SHAPES, write_export
from extraction_jobs.messages import Found
from extraction_jobs.sources import read


@pytest.mark.parametrize("shape", SHAPES)
def test_a_made_export_is_read_whole(tmp_path: Path, shape: str) -> None:
    count, found = write_export(tmp_path / "result.json", shape, 0.2), Found()
    messages = list(read(tmp_path / "result.json", found))
    assert ([message.id for message in messages], found.counts) == ([*range(1, count + 1)], {})
    assert any(message.sender == PERSONA for message in messages) == (shape != "channel")
    assert any(message.reply_to for message in messages) == (shape == "group")
