"""History as turns, the choice of a candidate, the pauses."""

import itertools
from typing import Any

import pytest

from protos.generation.v1 import generation_pb2 as pb
from services.gateway.ask_generation import choose
from services.gateway.history_turns import CALL, chat_key, compose_turns
from services.gateway.incoming import Identity
from services.gateway.store.same_words import denial_key
from tests.services.gateway.conftest import candidate, cases
from tests.services.gateway.telegram import BOT_ID, USERNAME

NONE, MASKED = pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED
BLOCKED, REPLACED = pb.MODERATION_ACTION_BLOCKED, pb.MODERATION_ACTION_REPLACED


ME = Identity(BOT_ID, USERNAME, ("автобус",))
_ids = itertools.count(1)


def said(user_id: int, text: str, role: str = "other", message_id: int = 0) -> Any:
    number = message_id or next(_ids)
    return {"message_id": number, "user_id": user_id, "text": text, "role": role}


def heard(messages: list[Any], answered: list[Any] | None = None, me: Identity = ME) -> list[Any]:
    """The messages of each turn."""
    return [list(turn.messages) for turn in compose_turns(messages, answered or [], "key", me)]


def test_a_senders_messages_in_a_row_are_one_turn() -> None:
    messages = [said(1, "а"), said(1, "б\nв"), said(2, "г"), said(9, "д", "persona"), said(1, "е")]
    turns = compose_turns(messages, [], "key", ME)
    assert [list(turn.messages) for turn in turns] == [["а", "б в"], ["г"], ["д"], ["е"]]
    other, persona = pb.ROLE_OTHER, pb.ROLE_PERSONA
    assert [turn.role for turn in turns] == [other, other, persona, other]
    assert turns[0].speaker != turns[1].speaker


HELD, UNSEEN = said(2, "в семь", message_id=90), said(3, "пост", message_id=40)
OWN = said(BOT_ID, "я тут", "persona", 91)
BARE = said(1, f"@{USERNAME}")
TALK = said(1, "что скажешь?")


@cases(
    "messages, answered, wanted",
    [
        ("unseen", [OWN, TALK], [UNSEEN], [["я тут"], ["пост"], ["что скажешь?"]]),
        ("before all that is asked", [said(1, "слушай"), TALK], [UNSEEN],
         [["пост"], ["слушай", "что скажешь?"]]),
        ("held already", [HELD, OWN, TALK], [HELD], [["в семь"], ["я тут"], ["что скажешь?"]]),
        ("a post and a comment", [TALK], [UNSEEN, HELD], [["пост"], ["в семь"], ["что скажешь?"]]),
        ("a bare mention", [OWN, BARE], [UNSEEN], [["я тут"], ["пост"]]),
        ("a bare mention under what is held", [HELD, said(1, "ага"), BARE], [HELD],
         [["ага"], ["в семь"]]),
        ("a bare mention after talk", [HELD, BARE], [], [["в семь"]]),
        ("a bare mention alone", [BARE], [], [["автобус"]]),
        ("a bare mention under the bot's words", [HELD, BARE], [OWN],
         [["в семь"], ["я тут"], ["автобус"]]),
        ("words without a visible sign", [TALK, said(1, "\u200b")], [said(3, "\u3164")],
         [["что скажешь?"]]),
        ("nobody wrote", [], [UNSEEN], []),
        ("the bot's @name", [said(2, f"@{USERNAME.upper()}, едем? @{USERNAME}2"),
                             said(BOT_ID, f"я @\u2060{USERNAME}", "persona"), TALK],
         [said(3, f"зовите @{USERNAME}!", message_id=40)],
         [[f"едем? @{USERNAME}2"], ["я"], ["зовите !"], ["что скажешь?"]]),
        ("as much as generation takes", [*(said(2, "а" * 4096) for _ in range(5)), TALK],
         [UNSEEN, said(3, "б" * 4096)], [["а" * 4096], ["пост", "б" * 3900], ["что скажешь?"]]),
    ],
)  # fmt: skip
def test_what_a_prompt_consists_of(
    messages: list[Any], answered: list[Any], wanted: list[list[str]]
) -> None:
    assert heard(messages, answered) == wanted


def test_a_bot_without_names_is_called_all_the_same() -> None:
    assert heard([BARE], me=Identity(BOT_ID, USERNAME)) == [[CALL]]


def test_only_as_many_characters_are_sent_as_generation_takes() -> None:
    turns = compose_turns([said(1, str(number) * 4096) for number in range(5)], [], "key", ME)
    assert [message[0] for message in turns[0].messages] == ["3", "4"]


def test_speakers_are_pseudonyms_of_their_chat() -> None:
    [here], [there] = (
        compose_turns([said(777, "а")], [], "here", ME),
        compose_turns([said(777, "а")], [], "there", ME),
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
        ([candidate("\u2800"), candidate("\u200b", "б")], ["б"], "candidate"),
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
