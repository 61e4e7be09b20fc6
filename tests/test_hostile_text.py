"""No pattern takes long over what people write, whatever they write."""

import importlib
import re
import time
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("contracts", "extraction_jobs", "moderation", "services/gateway", "services/sandbox")
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in (*ROOMS, "training_jobs/evaluation")
    for path in sorted((ROOT / room).rglob("*.py"))
    if re.search(r"^\S.*re\.compile\(", path.read_text(encoding="utf-8"), re.MULTILINE)
]
LENGTH = 1 << 16
"""Characters: sixteen of Telegram's longest messages, or a chunk of an export."""
MARKS = ("\\", "@", "/", "x", "0", "а", " ", "-", ":", ".", ")")
TEXTS = [pair * (LENGTH // 2) + "!" for pair in map("".join, product(MARKS, MARKS))]


@pytest.mark.parametrize("module", MODULES)
def test_no_pattern_takes_longer_than_in_proportion_to_the_text(module: str) -> None:
    """A text takes some milliseconds; in proportion to the square it would take many seconds."""
    named = vars(importlib.import_module(module)).items()
    patterns = [(name, value) for name, value in named if isinstance(value, re.Pattern)]
    assert patterns
    for name, pattern in patterns:
        is_text = isinstance(pattern.pattern, str)
        for text in TEXTS:
            began = time.process_time()
            pattern.search(text if is_text else text.encode())
            assert time.process_time() - began < 2, f"{name} with {text[:2]!r} again and again"
