"""History as turns, the choice of a candidate, the pauses."""

import itertools
from typing import Any

import pytest

from contracts.conversation import MOST_CONTEXT_TURNS, Conversation
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.ask_generation import choose
from services.gateway.history_turns import CALL, chat_key, compose_turns
from services.gateway.incoming import Identity
from services.gateway.store.same_words import denial_key
from tests.services.gateway.conftest import cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import BOT_ID, USERNAME

NONE, MASKED = pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED
BLOCKED, REPLACED = pb.MODERATION_ACTION_BLOCKED, pb.MODERATION_ACTION_REPLACED


ME = Identity(BOT_ID, USERNAME, ("автобус",))
_ids = itertools.count(1)


RULES = Conversation()


def said(
    user_id: int, text: str, role: str = "other", message_id: int = 0, reply_to: int = 0
) -> Any:
    """A row of the history, a second after the one before."""
    number = message_id or next(_ids)
    row = {"message_id": number, "user_id": user_id, "text": text, "role": role}
    return {**row, "reply_to": reply_to, "at": float(next(_ids))}


def heard(messages: list[Any], answered: list[Any] | None = None, me: Identity = ME) -> list[Any]:
    """The messages of each turn."""
    return [
        list(turn.messages) for turn in compose_turns(messages, answered or [], "key", me, RULES)
    ]


def test_a_senders_messages_in_a_row_are_one_turn() -> None:
    messages = [said(1, "а"), said(1, "б\nв"), said(2, "г"), said(9, "д", "persona"), said(1, "е")]
    turns = compose_turns(messages, [], "key", ME, RULES)
    assert [list(turn.messages) for turn in turns] == [["а", "б в"], ["г"], ["д"], ["е"]]
    other, persona = pb.ROLE_OTHER, pb.ROLE_PERSONA
    assert [turn.role for turn in turns] == [other, other, persona, other]
    assert turns[0].speaker != turns[1].speaker


HELD, UNSEEN = said(2, "в семь", message_id=90), said(3, "пост", message_id=40)
OWN = said(BOT_ID, "я тут", "persona", 91)
TALK = said(1, "что скажешь?")


def to(reply_to: int) -> Any:
    return {**TALK, "reply_to": reply_to}


def bare(reply_to: int = 0) -> Any:
    return said(1, f"@{USERNAME}", reply_to=reply_to)


@cases(
    "messages, answered, wanted",
    [
        ("unseen", [OWN, to(40)], [UNSEEN], [["я тут"], ["пост"], ["что скажешь?"]]),
        ("in a burst", [OWN, said(1, "слушай", reply_to=40), TALK], [UNSEEN],
         [["я тут"], ["пост"], ["слушай", "что скажешь?"]]),
        ("held already", [HELD, OWN, to(90)], [HELD], [["я тут"], ["в семь"], ["что скажешь?"]]),
        ("a post and a comment", [to(92)], [UNSEEN, said(2, "ого", message_id=92, reply_to=40)],
         [["пост"], ["ого"], ["что скажешь?"]]),
        ("a bare mention", [OWN, bare(40)], [UNSEEN], [["пост"]]),
        ("a bare mention under what is held", [HELD, said(1, "ага"), bare(90)], [HELD],
         [["в семь"]]),
        ("a bare mention before words", [OWN, bare(40), TALK], [UNSEEN],
         [["я тут"], ["пост"], ["что скажешь?"]]),
        ("a bare mention after talk", [HELD, bare()], [], [["в семь"]]),
        ("a bare mention alone", [bare()], [], [["автобус"]]),
        ("a bare mention under the bot's words", [HELD, OWN, bare(91)], [OWN],
         [["в семь"], ["я тут"], ["автобус"]]),
        ("words without a visible sign", [TALK, said(1, "\u200b")], [said(3, "\u3164")],
         [["что скажешь?"]]),
        ("nobody wrote", [], [UNSEEN], []),
        ("the bot's @name", [said(2, f"@{USERNAME.upper()}, едем? @{USERNAME}2"),
                             said(BOT_ID, f"я @\u2060{USERNAME}", "persona"), to(40)],
         [said(3, f"зовите @{USERNAME}!", message_id=40)],
         [[f"едем? @{USERNAME}2"], ["я"], ["зовите !"], ["что скажешь?"]]),
        ("no more turns than a model can know", [*(said(n, "а") for n in range(2, 60)), TALK], [],
         [*[["а"]] * (MOST_CONTEXT_TURNS - 1), ["что скажешь?"]]),
    ],
)  # fmt: skip
def test_what_a_prompt_consists_of(
    messages: list[Any], answered: list[Any], wanted: list[list[str]]
) -> None:
    assert heard(messages, answered) == wanted


def test_a_bot_without_names_is_called_all_the_same() -> None:
    assert heard([bare()], me=Identity(BOT_ID, USERNAME)) == [[CALL]]


def test_speakers_are_pseudonyms_of_their_chat() -> None:
    [here], [there] = (
        compose_turns([said(777, "а")], [], "here", ME, RULES),
        compose_turns([said(777, "а")], [], "there", ME, RULES),
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
