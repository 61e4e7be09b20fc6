"""When two texts say the same: whatever their case, their signs and their ё. Pure."""

import re
from hashlib import sha256

SHORT_WORDS = 3
"""Texts of fewer words may come again: people say «да» all day."""
_WORD = re.compile(r"\w+")


def words_key(text: str) -> str:
    """The same for texts of the same words, whatever their case, signs and ё.

    A text without words is its own key.
    """
    words = _WORD.findall(text.casefold().replace("ё", "е"))
    return " ".join(words) or text.strip()


def denial_key(text: str) -> str:
    """What is kept of words not to say again: whoever reads it can only guess at them."""
    return sha256(words_key(text).encode()).hexdigest()


def is_repeat(text: str, recent: frozenset[str]) -> bool:
    """Whether the text says again what was said, and is long enough for people to notice."""
    key = words_key(text)
    return len(key.split()) >= SHORT_WORDS and key in recent
