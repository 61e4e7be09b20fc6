"""The history of a chat as turns, as generation takes them. Pure."""

import hashlib
import re
from collections.abc import Sequence
from itertools import accumulate, dropwhile, groupby
from sqlite3 import Row
from typing import NamedTuple, Self

from contracts.turn import Role, single_line
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.incoming import Identity
from services.generation.client import turn

HISTORY_MESSAGES = 60
"""Most messages sent along; below generation's limits on turns and on messages in one turn."""
HISTORY_CHARACTERS = 12_000
"""Most characters of them, below generation's limit on one turn; the newest are kept."""
ANSWERED_MESSAGES, ANSWERED_CHARACTERS = 2, 3_900
"""Most of what is answered, and most characters of each: room is left for the newest message."""
CALL = "ау"
"""How a bot without names is called."""


def chat_key(bot: str, chat: int, topic: int) -> str:
    """Return a name for a chat that does not tell which chat it is."""
    return hashlib.sha256(f"{bot}/{chat}/{topic}".encode()).hexdigest()[:32]


def compose_turns(
    messages: Sequence[Row], answered: Sequence[Row], chat: str, me: Identity
) -> list[pb.Turn]:
    """Return the turns to which the newest message is an answer or a question, oldest first.

    Rows have message_id, user_id, role and text. `answered` is what the newest messages reply to
    and comment: it stands before them, unless it is among the messages; and after all of them where
    the newest has no words but the bot's @name, since then it is what is asked about. Where nobody
    but the bot said anything before that, the bot is called by its name. No text holds its @name.

    A sender's messages in a row are one turn. Speakers are pseudonyms, stable within the chat whose
    `chat_key` is given.
    """
    said = [_Said.read(each, chat, me) for each in messages]
    context = [_Said.read(each, chat, me, ANSWERED_CHARACTERS) for each in answered]
    context = [each for each in context if each.words][-ANSWERED_MESSAGES:]
    spoken = _fitting([each for each in said if each.words], sum(len(c.words) for c in context))
    if said and said[-1].words:
        asker, known = said[-1].speaker, {each.message_id for each in context}
        rest = dropwhile(lambda e: e.speaker == asker or e.message_id in known, reversed(spoken))
        place = len(list(rest))
        spoken[place:place] = _without(context, spoken)
    elif said:
        spoken = [*_without(spoken, context), *context]
        if not spoken or spoken[-1].role == Role.PERSONA:
            spoken.append(said[-1]._replace(words=me.names[0] if me.names else CALL))
    return [
        turn(*(each.words for each in burst), persona=role == Role.PERSONA, speaker=speaker)
        for (role, speaker), burst in groupby(spoken, lambda each: (each.role, each.speaker))
    ]


class _Said(NamedTuple):
    """A message as a prompt has it. The persona has no pseudonym: it is called by its role."""

    message_id: int
    role: Role
    speaker: str
    words: str

    @classmethod
    def read(cls, row: Row, chat: str, me: Identity, length: int | None = None) -> Self:
        name = hashlib.sha256(f"{chat}/{row['user_id']}".encode()).hexdigest()[:8]
        role = Role(row["role"])
        speaker = "" if role is Role.PERSONA else name
        words = without_own_name(row["text"], me)[:length]
        return cls(row["message_id"], role, speaker, words)


def _fitting(spoken: list[_Said], used: int) -> list[_Said]:
    """Return the newest whose characters, and those used already, are not too many."""
    sizes = accumulate((len(each.words) for each in reversed(spoken)), initial=used)
    return spoken[len(spoken) + 1 - sum(size <= HISTORY_CHARACTERS for size in sizes) :]


def _without(some: Sequence[_Said], others: Sequence[_Said]) -> list[_Said]:
    known = {each.message_id for each in others}
    return [each for each in some if each.message_id not in known]


def without_own_name(text: str, me: Identity) -> str:
    """Return a text as one line without the bot's @username, which nobody says among friends.

    An invisible sign may stand in it, as the bot writes names that shall notify nobody.
    """
    said = re.sub(rf"@\u2060?{re.escape(me.username)}(?!\w)[,:;]?", "", text, flags=re.I)
    return single_line(" ".join(said.split()))
