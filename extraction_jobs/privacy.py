"""Pseudonyms: a data set names no sender and no chat (a private chat's id is a person's).

Not anonymity: who knows an id can compute its pseudonym, and the texts are as they were written.
"""

import hashlib


def pseudonym(sender: str, kind: str = "p") -> str:
    """A stable name for a sender's id (or, with kind `chat`, a chat's), e.g. `p-3f9a1c07b2`."""
    return f"{kind}-{hashlib.sha256(sender.encode()).hexdigest()[:10]}"
