"""The history of a chat as turns, as generation takes them. Pure."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from sqlite3 import Row

from contracts.conversation import MOST_CONTEXT_TURNS, Conversation, Line, Spoken, TurnList
from contracts.conversation import context as context_of
from contracts.conversation import turns as spoken_turns
from contracts.turn import Role, single_line
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.incoming import Identity
from services.generation.client import turn

HISTORY_MESSAGES = 60
"""Messages in which the turns of a prompt are looked for, besides the chain of replies."""
CALL = "ау"
"""How a bot without names is called."""


def chat_key(bot: str, chat: int, topic: int) -> str:
    """Return a name for a chat that does not tell which chat it is."""
    return hashlib.sha256(f"{bot}/{chat}/{topic}".encode()).hexdigest()[:32]


def compose_turns(
    messages: Sequence[Row], answered: Sequence[Row], chat: str, me: Identity, rules: Conversation
) -> list[pb.Turn]:
    """Return the turns to which the newest message is an answer or a question, oldest first.

    Rows have message_id, user_id, role, text, at and reply_to. `answered` is the chain of what the
    newest message replies to. Where that has no words but the bot's @name, it asks about what it
    replies to, else about what was said last; where nobody but the bot said anything, the bot is
    called by its name. No text holds its @name.

    Speakers are pseudonyms, stable within the chat whose `chat_key` is given. The persona has none:
    it is called by its role.
    """
    if not messages:
        return []
    known = {row["message_id"] for row in messages}
    rows = [*(row for row in answered if row["message_id"] not in known), *messages]
    spoken = list(spoken_turns(_with_words(_line(row, me) for row in rows), rules))
    found, newest = TurnList(spoken), messages[-1]
    number = found.find(newest["message_id"])
    is_bare = number is None
    if number is None and newest["reply_to"]:
        number = found.find(newest["reply_to"])
    if number is None and spoken:
        number = len(spoken) - 1
    chosen = [] if number is None else context_of(found, number, MOST_CONTEXT_TURNS)
    said = [_turn(spoken[each], chat) for each in chosen]
    if is_bare and (not said or said[-1].role == pb.ROLE_PERSONA):
        called = me.names[0] if me.names else CALL
        said.append(_turn(Spoken([_line(newest, me)._replace(text=called)], 0, None), chat))
    return said


def _line(row: Row, me: Identity) -> Line:
    sender = "" if Role(row["role"]) is Role.PERSONA else str(row["user_id"])
    text = without_own_name(row["text"], me)
    return Line(row["message_id"], sender, text, row["at"], row["reply_to"] or None)


def _with_words(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines that have words; what a bare mention replies to, the words after it do."""
    bare = None
    for line in lines:
        if not line.text:
            bare = line
            continue
        if bare and bare.sender == line.sender and not line.reply_to:
            line = line._replace(reply_to=bare.reply_to)
        bare = None
        yield line


def _turn(spoken: Spoken, chat: str) -> pb.Turn:
    name = hashlib.sha256(f"{chat}/{spoken.sender}".encode()).hexdigest()[:8]
    texts = (line.text for line in spoken.lines)
    return turn(*texts, persona=not spoken.sender, speaker=name if spoken.sender else "")


def without_own_name(text: str, me: Identity) -> str:
    """Return a text as one line without the bot's @username, which nobody says among friends.

    An invisible sign may stand in it, as the bot writes names that shall notify nobody.
    """
    said = re.sub(rf"@\u2060?{re.escape(me.username)}(?!\w)[,:;]?", "", text, flags=re.I)
    return single_line(" ".join(said.split()))
