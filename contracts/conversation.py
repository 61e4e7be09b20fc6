"""What an answer is given to: the one rule for the records to learn from and the prompts to answer.

Lines become turns, and `context` chooses the turns that stand before an answer. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

CONTEXT_TURNS, MOST_CONTEXT_TURNS = 2, 16
LONGEST_TURN, MOST_LINES = 2000, 32
"""Characters and lines after which a sender's next one begins a turn: what is longer can neither be
learned nor asked."""
LATE_ANSWER = 4
"""Pauses within which what follows a question still answers it."""


_QUESTION = re.compile(r"\?[^\w?]*\Z")
"""The end of a question, which a smile or another mark may follow."""


class Conversation(BaseModel):
    """bot.yaml's `conversation` section: what belongs together, in training and at serving alike.

    burst_minutes  lines of one sender that follow each other within it are one turn
    pause_minutes  silence after which a new session begins
    context_turns  most turns that an answer is given to
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    burst_minutes: float = Field(default=5.0, gt=0.0)
    pause_minutes: float = Field(default=60.0, gt=0.0)
    context_turns: int = Field(default=CONTEXT_TURNS, ge=1, le=MOST_CONTEXT_TURNS)


class Line(NamedTuple):
    """A message of a chat or topic.

    at        unix time in seconds
    reply_to  id of the message answered
    is_own    False for what is not its sender's words: a placeholder, a forward
    """

    id: int
    sender: str
    text: str
    at: float
    reply_to: int | None = None
    is_own: bool = True


class Spoken(NamedTuple):
    """A turn before it has a role: lines of one sender in a row.

    session   number of the stretch without a long pause in which it stands
    reply_to  id of the message that it explicitly answers
    """

    lines: Sequence[Line]
    session: int
    reply_to: int | None

    @property
    def sender(self) -> str:
        return self.lines[0].sender


def turns(lines: Iterable[Line], rules: Conversation, session: int = 0) -> Iterator[Spoken]:
    """Join the lines, which are in order of time, to turns; sessions are counted from `session`.

    A line begins a turn where its sender wrote nothing for a while, where it answers another
    message than the lines before it, and where the turn would be too long.
    """
    said: list[Line] = []
    size, own, reply_to = 0, set[int](), None
    for line in lines:
        if said and (
            line.sender != said[-1].sender
            or abs(line.at - said[-1].at) > rules.burst_minutes * 60
            or size + len(line.text) > LONGEST_TURN
            or len(said) == MOST_LINES
            or (line.reply_to not in (None, reply_to) and line.reply_to not in own)
        ):
            yield Spoken(said, session, reply_to)
            session += _begins_session(line, said, rules.pause_minutes * 60)
            said, size, own, reply_to = [], 0, set(), None
        if reply_to is None and line.reply_to not in own:
            reply_to = line.reply_to
        said.append(line)
        own.add(line.id)
        size += len(line.text)
    if said:
        yield Spoken(said, session, reply_to)


def _begins_session(line: Line, said: Sequence[Line], pause: float) -> bool:
    """Never between a question and its direct answer, up to LATE_ANSWER pauses."""
    gap = abs(line.at - said[-1].at)
    if line.sender == said[-1].sender:
        return gap >= pause
    is_answer = any(_QUESTION.search(each.text) or each.id == line.reply_to for each in said)
    return gap >= (pause * LATE_ANSWER if is_answer else pause)


class Turns(Protocol):
    """The turns of a chat or topic by number, and which of them an earlier message is in."""

    def __getitem__(self, number: int) -> Spoken: ...

    def find(self, message_id: int) -> int | None: ...


class TurnList:
    """Turns in memory."""

    def __init__(self, spoken: Sequence[Spoken]) -> None:
        self._spoken = spoken
        self._places = {line.id: place for place, each in enumerate(spoken) for line in each.lines}

    def __getitem__(self, number: int) -> Spoken:
        return self._spoken[number]

    def find(self, message_id: int) -> int | None:
        return self._places.get(message_id)


def answered(spoken: Turns, number: int) -> int | None:
    """Return the turn that a turn answers: explicitly, else the one directly before it.

    None where it opens a session, where it goes on from what its sender said, and where what it
    explicitly answers is not known.
    """
    turn = spoken[number]
    if turn.reply_to is not None:
        found = spoken.find(turn.reply_to)
        return found if found is not None and found < number else None
    before = spoken[number - 1] if number else None
    goes_on = before is not None and before.session == turn.session
    return number - 1 if before and goes_on and before.sender != turn.sender else None


def context(spoken: Turns, number: int, most: int) -> list[int]:
    """Return the turns before an answer to a turn: that one last, before it what it replies to and
    so on, oldest first, and before these the nearest other turns of its session.

    A smaller `most` gives the end of the same list.
    """
    chain = [number]
    while len(chain) < most:
        reply_to = spoken[chain[-1]].reply_to
        found = None if reply_to is None else spoken.find(reply_to)
        if found is None or found >= chain[-1]:
            break
        chain.append(found)
    others, earlier = list[int](), number - 1
    while len(chain) + len(others) < most and earlier >= 0:
        if spoken[earlier].session != spoken[number].session:
            break
        if earlier not in chain:
            others.append(earlier)
        earlier -= 1
    return [*reversed(others), *reversed(chain)]
