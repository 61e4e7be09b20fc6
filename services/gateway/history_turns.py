"""The history of a chat as turns, as generation takes them. Pure."""

import hashlib
from collections.abc import Iterable
from itertools import accumulate, groupby
from sqlite3 import Row

from contracts.turn import Role, single_line
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import turn

HISTORY_MESSAGES = 60
"""Most messages sent along; below generation's limits on turns and on messages in one turn."""
HISTORY_CHARACTERS = 12_000
"""Most characters of them, below generation's limit on one turn; the newest are kept."""


def chat_key(bot: str, chat: int, topic: int) -> str:
    """Return a name for a chat that does not tell which chat it is."""
    return hashlib.sha256(f"{bot}/{chat}/{topic}".encode()).hexdigest()[:32]


def compose_turns(messages: Iterable[Row], chat: str) -> list[pb.Turn]:
    """Return messages (user_id, role, text) as turns, oldest first.

    A sender's messages in a row are one turn. Speakers are pseudonyms, stable within the chat whose
    `chat_key` is given.
    """
    spoken = [each for each in messages if single_line(each["text"])]
    sizes = accumulate(len(each["text"]) for each in reversed(spoken))
    kept = sum(size <= HISTORY_CHARACTERS for size in sizes)
    bursts = groupby(
        spoken[len(spoken) - kept :], lambda each: (each["role"], _pseudonym(each, chat))
    )
    return [
        turn(*_lines(burst), persona=role == Role.PERSONA, speaker=speaker)
        for (role, speaker), burst in bursts
    ]


def _lines(messages: Iterable[Row]) -> list[str]:
    return [single_line(each["text"]) for each in messages]


def _pseudonym(message: Row, chat: str) -> str:
    """The persona has none: it is called by its role."""
    if message["role"] == Role.PERSONA:
        return ""
    return hashlib.sha256(f"{chat}/{message['user_id']}".encode()).hexdigest()[:8]
