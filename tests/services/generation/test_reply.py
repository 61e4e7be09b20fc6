"""Text on its way out: whole characters, stop strings, moderation before anything leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.prompt import PromptFormat
from moderation import Action, Moderator, Policy
from protos.generation.v1 import generation_pb2 as pb
from services.generation.engine import Finish
from services.generation.reply import (
    TextStream,
    candidate,
    clean,
    cut_at_stop,
    replace_last_if_all_blocked,
)

BLOCKING = Moderator(Policy())
MASKING = Moderator(Policy(profanity=Action.MASKED))
OFF = Moderator(Policy(profanity=Action.NONE))


def _bytes(ids: list[int]) -> str:
    """A decoder whose tokens are bytes, as the worst of byte-level BPE."""
    return bytes(ids).decode(errors="replace")


def _streamed(text: str, stop: tuple[str, ...], moderator: Moderator) -> tuple[str, TextStream]:
    """Feed a text byte by byte, as the service does; returns all that was sent."""
    stream = TextStream(_bytes, stop, moderator)
    sent = ""
    for byte in text.encode():
        sent += stream.add([byte])
        if stream.stopped or stream.blocked:
            break
    return sent + stream.finish(), stream


@given(st.text(max_size=60), st.sampled_from([(), ("стоп",), ("\n", "аб")]))
def test_what_is_sent_is_the_cleaned_text_up_to_the_stop(text: str, stop: tuple[str, ...]) -> None:
    sent, stream = _streamed(text, stop, OFF)
    expected, stopped = cut_at_stop(clean(text), stop)
    assert sent == expected
    assert stream.stopped == stopped


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("иди ты нахуй отсюда", "иди ты"),
        ("пиздец какой день", ""),
        ("вот и пиздец", "вот и"),
    ],
)
def test_nothing_from_an_obscene_word_on_is_sent(text: str, sent: str) -> None:
    got, stream = _streamed(text, (), BLOCKING)
    assert got == sent
    assert stream.blocked


def test_masked_words_are_sent_starred() -> None:
    text = "вот пиздец какой день"
    assert _streamed(text, (), MASKING)[0] == "вот ****** какой день"


def test_a_masked_text_goes_on_after_the_word() -> None:
    sent, stream = _streamed("ну пиздец же", (), MASKING)
    assert sent == "ну ****** же"
    assert not stream.blocked


def test_an_emoji_is_never_cut() -> None:
    stream = TextStream(_bytes, (), OFF)
    pieces = [stream.add([byte]) for byte in "да 🚌 да ".encode()]
    assert "".join([*pieces, stream.finish()]) == "да 🚌 да "
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces)


@pytest.mark.parametrize(
    ("text", "stop", "messages", "reason"),
    [
        ("раз\nдва", (), ["раз", "два"], pb.FINISH_REASON_LENGTH),
        ("раз\nдва", ("\n",), ["раз"], pb.FINISH_REASON_STOP),
        (" \n\n ", (), [], pb.FINISH_REASON_LENGTH),
        ("\x0bтекст\x00\ufffd", (), ["текст"], pb.FINISH_REASON_LENGTH),
    ],
)
def test_a_candidates_messages(
    text: str, stop: tuple[str, ...], messages: list[str], reason: int
) -> None:
    made = candidate(text, 5, Finish.LENGTH, stop, PromptFormat.TURNS_1, BLOCKING)
    assert list(made.messages) == messages
    assert (made.finish_reason, made.tokens) == (reason, 5)


def test_a_blocked_candidate_has_no_messages_and_says_why() -> None:
    made = candidate("пиздец", 3, Finish.STOP, (), PromptFormat.TURNS_1, BLOCKING)
    assert not made.messages
    assert made.moderation.action == pb.MODERATION_ACTION_BLOCKED
    assert made.moderation.category == "profanity"


def test_only_when_all_are_blocked_the_last_becomes_the_bots_line() -> None:
    def drawn(*texts: str) -> list[pb.Candidate]:
        made = [
            candidate(text, 1, Finish.STOP, (), PromptFormat.TURNS_1, BLOCKING) for text in texts
        ]
        replace_last_if_all_blocked(made, "Лучше промолчу.")
        return made

    some = drawn("пиздец", "привет")
    assert [list(each.messages) for each in some] == [[], ["привет"]]
    none = drawn("пиздец", "пиздец")
    assert [list(each.messages) for each in none] == [[], ["Лучше промолчу."]]
    assert none[-1].moderation.action == pb.MODERATION_ACTION_REPLACED
    assert none[0].moderation.action == pb.MODERATION_ACTION_BLOCKED
