"""Messages to sessions, turns and records. Pure: no file, no clock.

A session is a stretch of one chat without a long pause; a turn is a burst of one sender in it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from contracts.dataset import Record
from contracts.turn import Role, Turn
from extraction_jobs.messages import Message
from extraction_jobs.personas import pseudonym

UNANSWERED = "unanswered_turn"
MOST_TURNS = 32
"""A longer session gives several records, so that its end can be held out when there are few."""


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


def turns(session: Sequence[Message], personas: frozenset[str] = frozenset()) -> list[Turn]:
    """Join each burst of messages to a turn; senders in `personas` are the persona."""
    bursts = [(key or "", list(burst)) for key, burst in groupby(session, lambda each: each.sender)]
    position = {message.id: index for index, (_, burst) in enumerate(bursts) for message in burst}
    return [
        Turn(
            speaker=pseudonym(sender),
            role=Role.PERSONA if sender in personas else Role.OTHER,
            messages=tuple(message.text for message in burst),
            at=burst[0].at,
            reply_to=_turns_back(burst, index, position),
        )
        for index, (sender, burst) in enumerate(bursts)
    ]


def _turns_back(burst: Sequence[Message], index: int, position: dict[int, int]) -> int | None:
    answered = (position.get(message.reply_to or -1, index) for message in burst)
    return next((index - earlier for earlier in answered if earlier < index), None)


def _record(session: Sequence[Message], index: int, window: Sequence[Turn]) -> Record:
    """Make a record of a session's turns up to `index`; drop replies that point out of it."""
    chat = pseudonym(session[0].chat.key, "chat")
    return Record(
        id=f"{chat}-{session[0].id}-{index}",
        chat=chat,
        started_at=window[0].at,
        turns=tuple(
            turn if (turn.reply_to or 0) <= place else turn.model_copy(update={"reply_to": None})
            for place, turn in enumerate(window)
        ),
    )


def named_persona(
    sessions: Iterable[list[Message]], personas: frozenset[str], dropped: Counter[str]
) -> Iterator[Record]:
    """Yield records that end in a persona turn: one a session, more of a session of many turns."""
    for session in sessions:
        spoken = turns(session, personas)
        start, last = 0, max((i for i, turn in enumerate(spoken) if turn.is_persona), default=-1)
        for index, turn in enumerate(spoken):
            if turn.is_persona and (index == last or index + 1 - start >= MOST_TURNS):
                yield _record(session, index, spoken[start : index + 1])
                start = index + 1
        after = sum(len(turn.messages) for turn in spoken[start:])
        dropped["after_last_persona_turn" if start else "session_without_persona"] += after


def whole_chat(
    sessions: Iterable[list[Message]], context: int, dropped: Counter[str]
) -> Iterator[Record]:
    """Yield a record for each turn but a session's first, with up to `context` turns before it.

    Its speaker is that record's persona. Sessions of one turn are dropped, unless the source has
    no dialogue at all: then each gives a record of one turn.
    """
    alone: list[tuple[list[Message], Turn]] = []
    any_dialogue = False
    for session in sessions:
        spoken = turns(session)
        if len(spoken) == 1 and not any_dialogue:
            alone.append((session, spoken[0]))
        elif len(spoken) == 1:
            dropped[UNANSWERED] += len(spoken[0].messages)
        for index in range(1, len(spoken)):
            any_dialogue = True
            dropped[UNANSWERED] += sum(len(turn.messages) for _, turn in alone)
            alone.clear()
            window = spoken[max(0, index - context) : index + 1]
            yield _record(session, index, _by_last_speaker(window))
    for session, turn in alone:
        yield _record(session, 0, _by_last_speaker([turn]))


def _by_last_speaker(window: Sequence[Turn]) -> list[Turn]:
    """Return the window with its last speaker as the persona."""
    roles = {True: Role.PERSONA, False: Role.OTHER}
    return [
        turn.model_copy(update={"role": roles[turn.speaker == window[-1].speaker]})
        for turn in window
    ]
