"""Messages to sessions, turns and records. Pure: no file, no clock.

A session is a stretch of one chat without a long pause; a turn is a burst of one sender in it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from contracts.dataset import Record
from contracts.turn import Role, Turn
from extraction_jobs.message import Message
from extraction_jobs.privacy import pseudonym

Pseudonym = Callable[[str], str]
UNANSWERED = "unanswered_turn"
MOST_TURNS = 32
"""A longer session gives several records, so that its end can be held out when there are few."""


@dataclass(frozen=True)
class Burst:
    """Consecutive messages of one sender."""

    sender: str
    messages: tuple[Message, ...]


def sessions(messages: Iterable[Message], pause: timedelta) -> Iterator[list[Message]]:
    """Split where the chat changes or nobody wrote for `pause`."""
    session: list[Message] = []
    for message in messages:
        if session and (message.chat != session[-1].chat or message.at - session[-1].at >= pause):
            yield session
            session = []
        session.append(message)
    if session:
        yield session


def bursts(session: Sequence[Message]) -> list[Burst]:
    """Join consecutive messages of one sender."""
    joined: list[Burst] = []
    for message in session:
        sender = message.sender or ""
        if joined and joined[-1].sender == sender:
            joined[-1] = Burst(sender, (*joined[-1].messages, message))
        else:
            joined.append(Burst(sender, (message,)))
    return joined


def turns(session: Sequence[Message], personas: frozenset[str], name: Pseudonym) -> list[Turn]:
    """A session's turns; senders in `personas` are the persona."""
    joined = bursts(session)
    position = {
        message.id: index for index, burst in enumerate(joined) for message in burst.messages
    }
    return [
        Turn(
            speaker=name(burst.sender),
            role=Role.PERSONA if burst.sender in personas else Role.OTHER,
            messages=tuple(message.text for message in burst.messages),
            at=burst.messages[0].at,
            reply_to=_turns_back(burst, index, position),
        )
        for index, burst in enumerate(joined)
    ]


def _turns_back(burst: Burst, index: int, position: dict[int, int]) -> int | None:
    answered = (position.get(message.reply_to or -1, index) for message in burst.messages)
    return next((index - earlier for earlier in answered if earlier < index), None)


def _record(session: Sequence[Message], index: int, said: Sequence[Turn]) -> Record:
    first = session[0]
    chat = pseudonym(first.chat.key, "chat")
    return Record(
        id=f"{chat}-{first.id}-{index}",
        chat=chat,
        started_at=said[0].at,
        turns=tuple(said),
    )


def named_persona(
    messages: Iterable[Message],
    pause: timedelta,
    personas: frozenset[str],
    name: Pseudonym,
    dropped: Counter[str],
) -> Iterator[Record]:
    """Records that end in a persona turn: one a session, more of a session of many turns."""
    for session in sessions(messages, pause):
        said = turns(session, personas, name)
        start, last = 0, max((i for i, turn in enumerate(said) if turn.is_persona), default=-1)
        for index, turn in enumerate(said):
            if turn.is_persona and (index == last or index + 1 - start >= MOST_TURNS):
                yield _record(session, index, _within(said[start : index + 1]))
                start = index + 1
        after = sum(len(turn.messages) for turn in said[start:])
        dropped["after_last_persona_turn" if start else "session_without_persona"] += after


def whole_chat(
    messages: Iterable[Message],
    pause: timedelta,
    context: int,
    name: Pseudonym,
    dropped: Counter[str],
) -> Iterator[Record]:
    """Each turn but a session's first ends a record, with up to `context` turns before it.

    Its speaker is that record's persona. Sessions of one turn are dropped, unless the source has
    no dialogue at all: then each gives a record of one turn.
    """
    alone: list[tuple[list[Message], Turn]] = []
    any_dialogue = False
    for session in sessions(messages, pause):
        said = turns(session, frozenset(), name)
        if len(said) == 1 and not any_dialogue:
            alone.append((session, said[0]))
        elif len(said) == 1:
            dropped[UNANSWERED] += len(said[0].messages)
        for index in range(1, len(said)):
            any_dialogue = True
            dropped[UNANSWERED] += sum(len(turn.messages) for _, turn in alone)
            alone.clear()
            window = said[max(0, index - context) : index + 1]
            yield _record(session, index, _seen_by(window[-1].speaker, window))
    for session, turn in alone:
        yield _record(session, 0, _seen_by(turn.speaker, [turn]))


def _seen_by(speaker: str, window: Sequence[Turn]) -> list[Turn]:
    """The window with `speaker` as its persona."""
    return [
        turn.model_copy(update={"role": Role.PERSONA if turn.speaker == speaker else Role.OTHER})
        for turn in _within(window)
    ]


def _within(window: Sequence[Turn]) -> list[Turn]:
    """The window without replies that point out of it."""
    return [
        turn if (turn.reply_to or 0) <= index else turn.model_copy(update={"reply_to": None})
        for index, turn in enumerate(window)
    ]
