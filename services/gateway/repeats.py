"""When two messages say the same: whatever their case, their signs and their ё. Pure."""

import re

LATELY = 20
"""Messages back within which the bot does not repeat itself, nor answers one that does."""
SHORT = 3
"""Words below which a message may come again: people say «да» all day."""
_WORD = re.compile(r"\w+")


def key(text: str) -> str:
    """The same for messages that say the same; one without words is itself."""
    words = _WORD.findall(text.casefold().replace("ё", "е"))
    return " ".join(words) or text.strip()


def repeats(text: str, said: frozenset[str]) -> bool:
    """Whether the text says again what was said, and is long enough to be noticed."""
    said_now = key(text)
    return len(said_now.split()) >= SHORT and said_now in said
