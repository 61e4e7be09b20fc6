"""Between the chat and the model: history as turns, and the choice among candidates. Pure."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby
from typing import Protocol

from contracts.turn import Role, Turn, single_line
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.repeats import key, repeats

HISTORY_MESSAGES = 60
"""Most messages sent along; under generation's limits on turns and on messages in one turn."""
HISTORY_CHARACTERS = 12_000
"""Most characters of them, under generation's limit on one turn: the newest are kept."""
CANDIDATES = 2
PERSONA = "persona"
_USABLE = (pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED)


class Said(Protocol):
    """A message of the store."""

    @property
    def user_id(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def text(self) -> str: ...


def chat_key(bot: str, chat: int, topic: int) -> str:
    """Names a chat to generation without telling which it is."""
    return hashlib.sha256(f"{bot}/{chat}/{topic}".encode()).hexdigest()[:32]


def history(messages: Iterable[Said], chat: str) -> list[Turn]:
    """Turns out of messages, oldest first: a sender's messages in a row are one turn.

    Speakers are pseudonyms, stable within the chat that the `chat_key` names.
    """
    spoken = [each for each in messages if single_line(each.text)]
    sizes = accumulate(len(each.text) for each in reversed(spoken))
    kept = sum(size <= HISTORY_CHARACTERS for size in sizes)
    bursts = groupby(spoken[len(spoken) - kept :], lambda each: (each.role, _pseudonym(each, chat)))
    return [
        Turn(speaker=speaker, role=Role(role), messages=tuple(each.text for each in burst))
        for (role, speaker), burst in bursts
    ]


def _pseudonym(said: Said, chat: str) -> str:
    if said.role == Role.PERSONA:
        return PERSONA
    return hashlib.sha256(f"{chat}/{said.user_id}".encode()).hexdigest()[:8]


def choose(
    candidates: Sequence[pb.Candidate], lately: frozenset[str], denied: frozenset[str]
) -> tuple[list[str], str]:
    """The messages to send and what they are; none at all are `nothing`.

    candidate   the first that may be said and does not repeat what was said lately
    replaced    else the bot's own line, where moderation took the words away
    repeat      else the first that may be said
    """
    spoken = [(each.moderation.action, lines) for each in candidates if (lines := _lines(each))]
    usable = [
        lines for action, lines in spoken if action in _USABLE and not denied & set(map(key, lines))
    ]
    for lines in usable:
        if not any(repeats(line, lately) for line in lines):
            return lines, "candidate"
    for action, lines in spoken:
        if action == pb.MODERATION_ACTION_REPLACED and not denied & set(map(key, lines)):
            return lines, "replaced"
    return (usable[0], "repeat") if usable else ([], "nothing")


def _lines(candidate: pb.Candidate) -> list[str]:
    return [line for text in candidate.messages if (line := single_line(text))]
