"""History as turns, the choice of a candidate, the pauses."""

from typing import Any

import pytest

from protos.generation.v1 import generation_pb2 as pb
from services.gateway.ask_generation import choose
from services.gateway.history_turns import chat_key, compose_turns
from services.gateway.store.same_words import denial_key
from tests.services.gateway.conftest import candidate

NONE, MASKED = pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED
BLOCKED, REPLACED = pb.MODERATION_ACTION_BLOCKED, pb.MODERATION_ACTION_REPLACED


def said(user_id: int, text: str, role: str = "other") -> Any:
    return {"user_id": user_id, "text": text, "role": role}


def test_a_senders_messages_in_a_row_are_one_turn() -> None:
    messages = [said(1, "а"), said(1, "б\nв"), said(2, "г"), said(9, "д", "persona"), said(1, " ")]
    turns = compose_turns(messages, "key")
    assert [list(turn.messages) for turn in turns] == [["а", "б в"], ["г"], ["д"]]
    assert [turn.role for turn in turns] == [pb.ROLE_OTHER, pb.ROLE_OTHER, pb.ROLE_PERSONA]
    assert turns[0].speaker != turns[1].speaker


def test_only_as_many_characters_are_sent_as_generation_takes() -> None:
    turns = compose_turns([said(1, str(number) * 4096) for number in range(5)], "key")
    assert [message[0] for message in turns[0].messages] == ["3", "4"]


def test_speakers_are_pseudonyms_of_their_chat() -> None:
    [here], [there] = (
        compose_turns([said(777, "а")], "here"),
        compose_turns([said(777, "а")], "there"),
    )
    assert here.speaker != there.speaker
    assert "777" not in here.speaker


def test_chat_keys_are_stable_and_tell_nothing() -> None:
    assert chat_key("b", -100123, 0) == chat_key("b", -100123, 0)
    assert len({chat_key("b", 1, 0), chat_key("b", 1, 5), chat_key("c", 1, 0)}) == 3
    assert "100123" not in chat_key("b", -100123, 0)


@pytest.mark.parametrize(
    ("candidates", "lines", "outcome"),
    [
        ([candidate("а"), candidate("б")], ["а"], "candidate"),
        ([candidate(action=BLOCKED), candidate("б", action=MASKED)], ["б"], "candidate"),
        ([candidate(action=BLOCKED), candidate("н", action=REPLACED)], ["н"], "replaced"),
        ([candidate("н", action=REPLACED), candidate("б", action=NONE)], ["б"], "candidate"),
        ([candidate(), candidate("б")], ["б"], "candidate"),
        ([candidate(" ", "а\nб")], ["а б"], "candidate"),
        ([candidate(action=BLOCKED)], [], "nothing"),
        ([candidate("а", action=pb.MODERATION_ACTION_UNSPECIFIED)], [], "nothing"),
        ([], [], "nothing"),
    ],
)
def test_the_first_good_candidate_is_chosen(
    candidates: list[pb.Candidate], lines: list[str], outcome: str
) -> None:
    assert choose(candidates, frozenset(), frozenset()) == (lines, outcome)


@pytest.mark.parametrize(
    ("candidates", "lines", "outcome"),
    [
        (["Едем, едем домой.", "ещё"], ["ещё"], "candidate"),
        (["едем едем ДОМОЙ"], ["едем едем ДОМОЙ"], "repeat"),
        (["да", "ещё"], ["да"], "candidate"),
        (["Молчи!", "ещё"], ["ещё"], "candidate"),
        (["молчи"], [], "nothing"),
    ],
)
def test_what_was_said_lately_or_must_not_be_said_is_passed_over(
    candidates: list[str], lines: list[str], outcome: str
) -> None:
    lately, denied = frozenset({"едем едем домой", "да"}), frozenset({denial_key("молчи")})
    assert choose([candidate(each) for each in candidates], lately, denied) == (lines, outcome)
