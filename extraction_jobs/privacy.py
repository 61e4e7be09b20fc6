"""Pseudonyms: a data set names no sender."""

import hashlib


def pseudonym(sender: str) -> str:
    """A short stable name for a sender's id, e.g. `p-3f9a1c`, the same in every chat."""
    return "p-" + hashlib.sha256(sender.encode()).hexdigest()[:6]
