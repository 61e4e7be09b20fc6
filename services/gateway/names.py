"""Where a text calls a bot by one of its names: as a whole word, however people type it. Pure."""

import re
from functools import lru_cache
from unicodedata import normalize

_UNSEEN = re.compile("[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f]")
"""Stress marks, and signs that show nothing."""
_ALIKE = str.maketrans({"ё": "е", "ѐ": "е", "ѝ": "и", "‐": "-", "‑": "-", "’": "'"})
_ADDRESS = re.compile(r"https?://\S+")
_EDGE = r"[.!?…\n]"
_AFTER_HYPHEN = "то|ка|таки|де|с|сан|кун|тян|джан"
"""What makes no other word of a name; «автобус-экспресс» and «микро-автобус» are others."""


def is_called(names: tuple[str, ...], text: str, at_edge: bool = False) -> bool:
    """Whether a name stands in the text, with `at_edge` at the edge of a sentence.

    Case, ё for е, stress marks and what is between two words, spaces or a hyphen, do not matter.
    """
    return bool(names) and _any_of(names, at_edge).search(_folded(text)) is not None


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...], at_edge: bool) -> re.Pattern[str]:
    words = (re.findall(r"[^\s-]+", _folded(name)) or [name] for name in names)
    choice = "|".join(r"(?:\s+|-)".join(map(re.escape, each)) for each in words)
    is_other = rf"(?!-(?!(?:{choice}|{_AFTER_HYPHEN})\b)\w)"
    # not in @names, paths, tags, mail addresses and domains, which Telegram does not always mark
    name = rf"(?<![\w@/#$])(?<!\w-)(?:{choice})(?!\w|@|\.[a-z]){is_other}"
    at_edges = rf"(?:^|{_EDGE})\W{{0,9}}{name}|{name}\W{{0,9}}(?:$|{_EDGE})"
    return re.compile(at_edges if at_edge else name)


def _folded(text: str) -> str:
    text = _UNSEEN.sub("", normalize("NFC", _ADDRESS.sub("/", text)))
    return text.casefold().translate(_ALIKE)
