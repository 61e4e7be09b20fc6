"""When a person would have typed it: pauses before messages, and names that notify nobody. Pure."""

import re
from collections.abc import Sequence
from itertools import accumulate

LONGEST = 6.0
"""Seconds: nobody is kept waiting longer for one message."""
_JOINER = "\u2060"
_NAME = re.compile(r"@(?=\w)")


def pauses(lines: Sequence[str], speed: float) -> list[float]:
    """Seconds after which each line is typed, at so many characters a second; 0 is at once."""
    if not speed:
        return [0.0] * len(lines)
    return list(accumulate(min(LONGEST, len(line) / speed) for line in lines))


def unpinged(text: str) -> str:
    """The text with its @names looking the same and notifying nobody."""
    return _NAME.sub(f"@{_JOINER}", text)
