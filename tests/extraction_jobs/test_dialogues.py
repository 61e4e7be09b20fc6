"""Sessions, turns and records, told by scripts such as `anna boris>1 - anna`.

Expected turns are written `anna:1,2 bot*:3`: the numbers are messages, the star is the persona.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.dataset import Record
from contracts.turn import Turn, single_line
from extraction_jobs.dialogues import named_persona, sessions, turns, whole_chat
from extraction_jobs.messages import Chat, Message
from extraction_jobs.personas import pseudonym
from tests.extraction_jobs.conftest import message, talk

HOUR = timedelta(hours=1)
BOT = frozenset(["bot"])
NAMES = {pseudonym(name): name for name in ("anna", "boris", "clara", "bot")}


def shown(said: Iterable[Turn]) -> str:
    return " ".join(
        f"{NAMES[turn.speaker]}{'*' * turn.is_persona}:{','.join(turn.messages)}" for turn in said
    )


def records_of(messages: Iterable[Message], context: int = 4) -> list[Record]:
    return list(whole_chat(sessions(messages, HOUR), context, Counter()))


def persona_records(messages: Iterable[Message]) -> tuple[list[str], Counter[str]]:
    dropped: Counter[str] = Counter()
    records = list(named_persona(sessions(messages, HOUR), BOT, dropped))
    return [shown(record.turns) for record in records], +dropped


def replies(said: Sequence[Turn]) -> list[int | None]:
    return [turn.reply_to for turn in said]


def test_a_long_session_gives_several_records_that_leave_nothing_out() -> None:
    dropped: Counter[str] = Counter()
    script = "anna boris bot " * 30 + "anna bot>1 anna"
    records = list(named_persona(sessions(talk(script), HOUR), BOT, dropped))
    assert [len(record.turns) for record in records] == [33, 33, 26]
    assert all(record.turns[-1].is_persona for record in records)
    assert +dropped == {"after_last_persona_turn": 1}
    assert replies(records[-1].turns) == [None] * 26  # the answered turn is in another record
    assert len({record.id for record in records}) == 3


SECOND = timedelta(seconds=1)
ELSEWHERE = Chat("2", "Hall")


@pytest.mark.parametrize(
    ("second", "together"),
    [
        (message(2), True),
        (replace(message(2), at=message().at + HOUR - SECOND), True),
        (replace(message(2), at=message().at + HOUR), False),
        (replace(message(2), at=message().at + HOUR + SECOND), False),
        (replace(message(2), at=message().at - timedelta(days=1)), True),  # a clock set back
        (message(2, chat=ELSEWHERE), False),
    ],
)
def test_a_session_ends_where_nobody_wrote_for_the_pause_or_the_chat_changes(
    second: Message, together: bool
) -> None:
    first = message(1)
    expected = [[first, second]] if together else [[first], [second]]
    assert list(sessions([first, second], HOUR)) == expected
    assert list(sessions([], HOUR)) == []


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("anna anna anna", "anna:1,2,3"),
        ("anna boris anna", "anna:1 boris:2 anna:3"),
        ("anna anna bot bot anna", "anna:1,2 bot*:3,4 anna:5"),
    ],
)
def test_a_burst_of_one_sender_is_one_turn(script: str, expected: str) -> None:
    messages = talk(script)
    found = turns(messages, BOT)
    assert shown(found) == expected
    assert found[0].at == messages[0].at


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("anna boris", [None, None]),
        ("anna boris>1", [None, 1]),
        ("anna boris clara>1", [None, None, 2]),
        ("anna anna boris clara>2", [None, None, 2]),
        ("anna boris anna>1", [None, None, 2]),
        ("anna boris boris>1", [None, 1]),
        ("anna boris clara>2 clara>1", [None, None, 1]),
        ("anna anna>1", [None]),
        ("anna boris>99", [None, None]),
    ],
)
def test_a_reply_tells_how_many_turns_back_its_answer_stands(
    script: str, expected: list[int | None]
) -> None:
    assert replies(turns(talk(script), BOT)) == expected


@pytest.mark.parametrize(
    ("script", "records", "drops"),
    [
        ("anna bot", ["anna:1 bot*:2"], {}),
        ("bot", ["bot*:1"], {}),
        ("bot anna bot", ["bot*:1 anna:2 bot*:3"], {}),
        ("anna bot bot boris", ["anna:1 bot*:2,3"], {"after_last_persona_turn": 1}),
        ("anna bot anna boris anna", ["anna:1 bot*:2"], {"after_last_persona_turn": 3}),
        ("anna boris boris", [], {"session_without_persona": 3}),
        ("anna bot - boris bot", ["anna:1 bot*:2", "boris:3 bot*:4"], {}),
        (
            "anna bot anna - boris - bot",
            ["anna:1 bot*:2", "bot*:5"],
            {"after_last_persona_turn": 1, "session_without_persona": 1},
        ),
        ("", [], {}),
    ],
)
def test_a_named_persona_has_a_record_a_session_up_to_its_last_turn(
    script: str, records: list[str], drops: dict[str, int]
) -> None:
    assert persona_records(talk(script)) == (records, drops)


@pytest.mark.parametrize(
    ("context", "script", "records"),
    [
        (1, "anna boris clara", ["anna:1 boris*:2", "boris:2 clara*:3"]),
        (2, "anna boris clara", ["anna:1 boris*:2", "anna:1 boris:2 clara*:3"]),
        (4, "anna boris anna", ["anna:1 boris*:2", "anna*:1 boris:2 anna*:3"]),
        (4, "anna boris - clara boris", ["anna:1 boris*:2", "clara:3 boris*:4"]),
        (4, "anna anna boris boris", ["anna:1,2 boris*:3,4"]),
        # lone turns are records only where nobody talks to anybody
        (4, "anna", ["anna*:1"]),
        (4, "anna anna - anna", ["anna*:1,2", "anna*:3"]),
        (4, "anna - boris", ["anna*:1", "boris*:2"]),
        (4, "anna - boris clara", ["boris:2 clara*:3"]),
        (4, "boris clara - anna", ["boris:1 clara*:2"]),
        (4, "anna - boris clara - anna", ["boris:2 clara*:3"]),
        (4, "", []),
    ],
)
def test_in_a_whole_chat_each_turn_but_a_sessions_first_ends_a_record(
    context: int, script: str, records: list[str]
) -> None:
    assert [shown(record.turns) for record in records_of(talk(script), context)] == records


@pytest.mark.parametrize(("context", "expected"), [(1, None), (2, 2), (4, 2)])
def test_a_reply_that_points_out_of_the_window_is_dropped(
    context: int, expected: int | None
) -> None:
    *_, last = records_of(talk("anna boris clara>1"), context)
    assert last.turns[-1].reply_to == expected


def test_a_records_start_is_its_first_turns_and_its_chat_is_no_name() -> None:
    messages = talk("anna boris clara")
    last = records_of(messages, context=1)[-1]
    assert last.started_at == messages[1].at
    assert "Kitchen" not in last.model_dump_json()


@st.composite
def chats(draw: st.DrawFn) -> list[Message]:
    """Several chats of people who write up to two hours after one another."""
    letters = st.text("ab \n\u2028ж😀", min_size=1).filter(single_line)
    said = st.tuples(st.sampled_from(["anna", "boris", "bot"]), st.integers(0, 120), letters)
    blocks = draw(st.lists(st.lists(said, max_size=8), max_size=3))
    minute, messages = 0, list[Message]()
    for key, block in enumerate(blocks):
        for sender, minutes, text in block:
            minute += minutes
            where = Chat(str(key), str(key))
            messages.append(message(len(messages) + 1, sender, minute, text=text, chat=where))
    return messages


@settings(deadline=None)
@given(messages=chats())
def test_no_text_is_lost_or_reordered_on_the_way_to_turns(messages: list[Message]) -> None:
    said = [turns(session, BOT) for session in sessions(messages, HOUR)]
    assert [
        (NAMES[turn.speaker], text)
        for session in said
        for turn in session
        for text in turn.messages
    ] == [(message.sender, single_line(message.text)) for message in messages]
    assert all(
        before.speaker != after.speaker for session in said for before, after in pairwise(session)
    )


@settings(deadline=None)
@given(messages=chats())
def test_a_named_persona_loses_no_message_uncounted(messages: list[Message]) -> None:
    dropped: Counter[str] = Counter()
    records = list(named_persona(sessions(messages, HOUR), BOT, dropped))
    used = sum(len(turn.messages) for record in records for turn in record.turns)
    assert used + dropped.total() == len(messages)


@settings(deadline=None)
@given(messages=chats(), context=st.integers(1, 5))
def test_every_record_of_a_whole_chat_is_its_last_speakers(
    messages: list[Message], context: int
) -> None:
    records = records_of(messages, context)
    assert len({record.id for record in records}) == len(records)
    for record in records:
        last = record.turns[-1]
        assert len(record.turns) <= context + 1
        assert [turn.is_persona for turn in record.turns] == [
            turn.speaker == last.speaker for turn in record.turns
        ]
        assert all((turn.reply_to or 0) <= index for index, turn in enumerate(record.turns))
