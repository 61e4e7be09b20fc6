"""No pattern takes long over what people write, whatever they write."""

import importlib
import re
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("contracts", "extraction_jobs", "moderation", "services/gateway", "services/sandbox")
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in (*ROOMS, "training_jobs/evaluation")
    for path in sorted((ROOT / room).rglob("*.py"))
    if re.search(r"^\S.*re\.compile\(", path.read_text(encoding="utf-8"), re.MULTILINE)
]
SHORT, LONG = 1 << 13, 1 << 16
"""Characters: two of Telegram's longest messages, and sixteen, or a chunk of an export."""
MOST_SECONDS = 2.0
MARKS = ("\\", "@", "/", "x", "0", "а", " ", "-", ":", ".", ")", "+", "ключ", "собака", "паспорт")
PAIRS = [*map("".join, product(MARKS, MARKS)), "eyJ", "?key", "4276 "]


def _seconds(pattern: re.Pattern[Any], pair: str, length: int) -> float:
    text = pair * (length // len(pair)) + "!"
    began = time.process_time()
    pattern.search(text if isinstance(pattern.pattern, str) else text.encode())
    return time.process_time() - began


@pytest.mark.parametrize("module", MODULES)
def test_no_pattern_takes_longer_than_in_proportion_to_the_text(module: str) -> None:
    """A text takes some milliseconds; in proportion to the square it would take many seconds."""
    named = vars(importlib.import_module(module)).items()
    patterns = [(name, value) for name, value in named if isinstance(value, re.Pattern)]
    assert patterns
    for (name, pattern), pair in product(patterns, PAIRS):
        is_slow = _seconds(pattern, pair, SHORT) > MOST_SECONDS * (SHORT / LONG) ** 2
        if is_slow:  # or was the machine?
            slow = _seconds(pattern, pair, LONG)
            assert slow < MOST_SECONDS, f"{name} with {pair!r} again and again"
