"""Turns to records, each with one answer of the persona and what it is an answer to. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_json

from contracts.conversation import Spoken, answered, context
from contracts.turn import Role
from extraction_jobs.personas import pseudonym
from extraction_jobs.scratch import CACHED_TURNS, Place


class Draft(NamedTuple):
    """A record, made without a check of what was checked before: each message is a single line.

    ended, messages  time and texts of the answer
    line             that of contracts.dataset.Record
    """

    chat: str
    answers: str
    ended: float
    messages: tuple[str, ...]
    line: bytes


class _Said(NamedTuple):
    """A turn and its time, as the JSON of contracts.turn.Turn has them.

    own    as its speaker learns it; empty where the speaker said nothing of its own in it
    heard  as others hear it
    """

    sender: str
    at: str
    messages: tuple[str, ...]
    own: bytes
    heard: bytes

    def to(self, sender: str) -> bytes:
        return self.own if sender == self.sender else self.heard


def records(place: Place, persona: str | None, most: int) -> Iterator[Draft]:
    """Yield a record for each turn of the persona with up to `most` turns before it.

    Where the persona is None each turn is learned, as its speaker's.
    """
    chat = pseudonym(place.key, "chat")
    said = lru_cache(CACHED_TURNS)(lambda number: _said(place[number]))
    for number, spoken in place:
        sender = spoken.sender
        if persona not in (None, sender) or not said(number).own:
            continue
        asked = answered(place, number)
        if asked is not None and not said(asked).to(sender):
            asked = None  # a picture of its own
        chosen = [] if asked is None else context(place, asked, most)
        turns = [turn for each in (*chosen, number) if (turn := said(each)).to(sender)]
        answers = "nothing" if asked is None else "reply" if spoken.reply_to else "last turn"
        topic = f'"topic":"{place.topic}",' if place.topic else ""
        head = (
            f'{{"v":2,"id":"{chat}-{spoken.lines[0].id}","chat":"{chat}",{topic}'
            f'"started_at":{turns[0].at},"answers":"{answers}","turns":['
        )
        line = head.encode() + b",".join([turn.to(sender) for turn in turns]) + b"]}\n"
        yield Draft(chat, answers, spoken.lines[0].at, turns[-1].messages, line)


def _said(spoken: Spoken) -> _Said:
    texts = tuple([line.text for line in spoken.lines])
    own = tuple([line.text for line in spoken.lines if line.is_own])
    at = datetime.fromtimestamp(spoken.lines[0].at, UTC)
    turn = {"speaker": pseudonym(spoken.sender), "role": Role.PERSONA.value, "messages": own}
    as_own = to_json({**turn, "at": at})
    heard = to_json({**turn, "messages": texts, "at": at}) if texts != own else as_own
    heard = heard.replace(b'"persona"', b'"other"', 1)  # a pseudonym, before it, has no such word
    return _Said(spoken.sender, to_json(at).decode(), own, as_own if own else b"", heard)
