"""Lines to turns, and turns to what an answer is given to, told by scripts.

`anna boris?>1 anna+6`: a message a minute, numbered from 1; `?` asks, `>1` answers message 1,
`+6` comes six minutes after the one before. Turns are shown as `anna:1,2 | boris>1:3`: the numbers
are messages, `|` begins a session, `>` is the message explicitly answered.
"""

import re
from collections.abc import Iterable
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import (
    LONGEST_TURN,
    MOST_CONTEXT_TURNS,
    MOST_LINES,
    Conversation,
    Line,
    Spoken,
    TurnList,
    answered,
    context,
    turns,
)

RULES = Conversation()


def lines(script: str) -> list[Line]:
    found, at = list[Line](), 0.0
    for number, word in enumerate(script.split(), 1):
        name, asks, reply_to, minutes = re.findall(r"(\w+)(\??)(?:>(\d+))?([+-]\d+)?$", word)[0]
        at += 60 * float(minutes or 1)
        reply = int(reply_to) if reply_to else None
        found.append(Line(number, name, f"{number}{asks}", at, reply))
    return found


def spoken(script: str) -> list[Spoken]:
    return list(turns(lines(script), RULES))


def shown(said: Iterable[Spoken]) -> str:
    def turn(each: Spoken) -> str:
        reply = f">{each.reply_to}" if each.reply_to else ""
        return f"{each.sender}{reply}:{','.join(str(line.id) for line in each.lines)}"

    sessions = groupby(said, lambda each: each.session)
    return " | ".join(" ".join(map(turn, session)) for _, session in sessions)


@pytest.mark.parametrize(
    ("texts", "is_asked"),
    [
        *((("едем?",), True), (("едем?)",), True), (("едем?!",), True), (("едем? 😀",), True)),
        *((("едем?", "я жду"), True), (("едем",), False), (("кто? я",), False)),
    ],
)
def test_a_late_answer_belongs_to_any_question(texts: tuple[str, ...], is_asked: bool) -> None:
    said = [Line(n, "anna", text, 60.0 * n) for n, text in enumerate(texts)]
    *_, last = turns([*said, Line(9, "boris", "да", said[-1].at + 3700)], RULES)
    assert last.session == (not is_asked)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", ""),
        # a burst ends with another's word and in time
        ("anna anna anna+5", "anna:1,2,3"),
        ("anna anna+6", "anna:1 anna:2"),
        ("anna boris anna", "anna:1 boris:2 anna:3"),
        # an explicit reply begins a turn, unless it goes on with the same, or with its own
        ("boris anna anna>1", "boris:1 anna:2 anna>1:3"),
        ("boris clara anna>1 anna>2", "boris:1 clara:2 anna>1:3 anna>2:4"),
        ("boris anna>1 anna anna>1", "boris:1 anna>1:2,3,4"),
        ("anna anna>1 anna>2", "anna:1,2,3"),
        # a session ends after a pause
        ("anna boris+59", "anna:1 boris:2"),
        ("anna boris+60 anna", "anna:1 | boris:2 anna:3"),
        ("anna anna+60", "anna:1 | anna:2"),
        # but not between a question and its direct answer
        ("anna? boris+61", "anna:1 boris:2"),
        ("anna? boris+240", "anna:1 | boris:2"),
        ("anna? anna+61", "anna:1 | anna:2"),
        ("anna boris>1+61", "anna:1 boris>1:2"),
        ("anna clara boris>1+61", "anna:1 clara:2 | boris>1:3"),
        # and where time jumps back
        ("anna boris-59", "anna:1 boris:2"),
        ("anna boris-60", "anna:1 | boris:2"),
        ("anna anna-6", "anna:1 anna:2"),
    ],
)
def test_a_turn_has_an_end_in_time(script: str, expected: str) -> None:
    assert shown(spoken(script)) == expected


def test_the_times_of_a_bot_file_hold() -> None:
    rules = Conversation(burst_minutes=1, pause_minutes=2)
    assert shown(turns(lines("anna anna anna+2"), rules, 7)) == "anna:1,2 | anna:3"


@pytest.mark.parametrize(("sizes", "expected"), [((1, 1, 1), [2, 1]), ((2, 1, 1), [1, 2])])
def test_no_turn_is_longer_than_what_can_be_learned(
    sizes: tuple[int, ...], expected: list[int]
) -> None:
    long = [Line(n, "anna", "a" * (LONGEST_TURN // 2 * size), n) for n, size in enumerate(sizes)]
    assert [len(each.lines) for each in turns(long, RULES)] == expected
    short = [Line(n, "anna", "a", n) for n in range(MOST_LINES + 1)]
    assert [len(each.lines) for each in turns(short, RULES)] == [MOST_LINES, 1]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("boris anna", 0),
        ("boris clara anna>1", 0),
        ("boris boris boris clara anna>2", 0),  # a message within a burst
        ("boris clara+600 anna>1", 0),  # in an earlier session
        ("anna boris anna>1", 0),  # what it said itself
        ("boris? anna+61", 0),
        ("anna", None),  # opens the chat,
        ("boris anna+60", None),  # or a session
        ("anna anna+6", None),  # goes on
        ("boris anna>9", None),  # not known
        ("boris anna>2", None),  # itself
    ],
)
def test_what_a_turn_answers(script: str, expected: int | None) -> None:
    said = TurnList(spoken(script))
    assert answered(said, len(spoken(script)) - 1) == expected


@pytest.mark.parametrize(
    ("script", "most", "expected"),
    [
        ("dora clara boris", 4, "1 2 3"),
        ("dora clara boris", 2, "2 3"),
        ("dora dora clara", 2, "1,2 3"),
        ("dora clara+60 boris", 4, "2 3"),  # of its session alone
        # the chain of replies stands before it, oldest first; before these the nearest others
        ("dora clara boris>1", 4, "2 1 3"),
        ("kate dora clara>1 lena boris>3", 4, "4 1 3 5"),
        ("kate dora clara>1 lena boris>3", 3, "1 3 5"),
        ("kate dora clara>1 lena boris>3", 1, "5"),
        ("kate dora+600 clara>1", 4, "2 1 3"),  # from an earlier session
        ("dora clara>9", 4, "1 2"),  # not known
    ],
)
def test_what_an_answer_is_given_to(script: str, most: int, expected: str) -> None:
    said = spoken(script)
    chosen = context(TurnList(said), len(said) - 1, most)
    assert " ".join(",".join(line.text for line in said[each].lines) for each in chosen) == expected


words = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["anna", "boris", "clara"]),
    st.sampled_from(["", "", "?"]),
    st.sampled_from(["", ">1", ">2", ">4", ">7", ">12"]),
    st.sampled_from(["", "", "+6", "+61", "-61", "+300"]),
)
scripts = st.lists(words, min_size=1, max_size=30).map(" ".join)


@given(scripts)
def test_every_line_is_in_one_turn_of_one_sender_in_order(script: str) -> None:
    said = spoken(script)
    assert [line for turn in said for line in turn.lines] == lines(script)
    assert all(len({line.sender for line in turn.lines}) == 1 for turn in said)
    assert [turn.session for turn in said] == sorted(turn.session for turn in said)


@given(scripts)
def test_a_smaller_number_of_turns_gives_the_end_of_the_same_context(script: str) -> None:
    said = spoken(script)
    for number in range(len(said)):
        longest = context(TurnList(said), number, MOST_CONTEXT_TURNS)
        assert longest[-1] == number == max(longest)
        assert len({*longest}) == len(longest) <= MOST_CONTEXT_TURNS
        for most in range(1, MOST_CONTEXT_TURNS):
            assert context(TurnList(said), number, most) == longest[-most:]
