"""Between the chat and the model: history as turns, and the choice among candidates. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from sqlite3 import Row

from contracts.turn import Role, Turn, single_line
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.store.words import is_repeat, words_key

HISTORY_MESSAGES = 60
"""Most messages sent along; below generation's limits on turns and on messages in one turn."""
HISTORY_CHARACTERS = 12_000
"""Most characters of them, below generation's limit on one turn; the newest are kept."""
CANDIDATES = 2
PERSONA = "persona"
_USABLE = (pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED)


def chat_key(bot: str, chat: int, topic: int) -> str:
    """Return a name for a chat that does not tell which chat it is."""
    return hashlib.sha256(f"{bot}/{chat}/{topic}".encode()).hexdigest()[:32]


def compose_turns(messages: Iterable[Row], chat: str) -> list[Turn]:
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
        Turn(speaker=speaker, role=Role(role), messages=tuple(each["text"] for each in burst))
        for (role, speaker), burst in bursts
    ]


def _pseudonym(message: Row, chat: str) -> str:
    if message["role"] == Role.PERSONA:
        return PERSONA
    return hashlib.sha256(f"{chat}/{message['user_id']}".encode()).hexdigest()[:8]


def choose(
    candidates: Sequence[pb.Candidate], recent: frozenset[str], denied: frozenset[str]
) -> tuple[list[str], str]:
    """Return the messages to send, and which kind of candidate they are.

    candidate   the first that may be said and does not repeat what was said lately
    replaced    else the bot's own line, where moderation took the words away
    repeat      else the first that may be said
    nothing     none may be said
    """
    spoken = [(each.moderation.action, lines) for each in candidates if (lines := _lines(each))]
    allowed = [
        (action, lines) for action, lines in spoken if not denied & set(map(words_key, lines))
    ]
    usable = [lines for action, lines in allowed if action in _USABLE]
    for lines in usable:
        if not any(is_repeat(line, recent) for line in lines):
            return lines, "candidate"
    for action, lines in allowed:
        if action == pb.MODERATION_ACTION_REPLACED:
            return lines, "replaced"
    return (usable[0], "repeat") if usable else ([], "nothing")


def _lines(candidate: pb.Candidate) -> list[str]:
    return [line for text in candidate.messages if (line := single_line(text))]
