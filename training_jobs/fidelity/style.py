"""The look of texts: length, emoji, punctuation, case, burst size; and how far two looks differ."""

import re
from collections.abc import Sequence

import numpy as np

_EMOJI = re.compile(r"[\U0001F000-\U0001FAFF☀-➿❤]")
_CUSTOM = {
    "emoji": _EMOJI,
    "exclamation": re.compile("!"),
    "question": re.compile(r"\?"),
    "ellipsis": re.compile(r"…|\.\.\."),
    "comma": re.compile(","),
    "bracket smile": re.compile(r"\){1,}|\({2,}"),
    "dash": re.compile(r"[—–]| - "),
}

Messages = Sequence[str]
"""One reply: the persona's messages in a row."""


def features(reply: Messages) -> dict[str, float]:
    """Of one reply: counts in characters and words, the rest 1 where the reply has it."""
    text = "\n".join(reply)
    letters = [char for char in text if char.isalpha()]
    found = {name: float(bool(pattern.search(text))) for name, pattern in _CUSTOM.items()}
    return {
        "characters": float(len(text)),
        "words": float(len(text.split())),
        "messages": float(len(reply)),
        "lower-case start": float(text[:1].islower()),
        "upper-case share": sum(map(str.isupper, letters)) / len(letters) if letters else 0.0,
        "final full stop": float(text.rstrip().endswith(".")),
        **found,
    }


def profile(replies: Sequence[Messages]) -> dict[str, float]:
    """Means of the features."""
    rows = [features(reply) for reply in replies]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else {}


def distance(ours: Sequence[Messages], theirs: Sequence[Messages]) -> float:
    """Mean over the features of the Kolmogorov-Smirnov distance of their distributions: 0 to 1."""
    from scipy.stats import ks_2samp

    left, right = [features(each) for each in ours], [features(each) for each in theirs]
    if not left or not right:
        return 1.0
    return float(
        np.mean(
            [
                ks_2samp([row[name] for row in left], [row[name] for row in right]).statistic
                for name in left[0]
            ]
        )
    )
