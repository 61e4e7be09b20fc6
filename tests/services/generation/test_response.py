"""From the engine's events to text: whole characters, stop strings, moderation before all else."""

from collections.abc import AsyncGenerator
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.prompt import PromptFormat
from contracts.sampling import Sampling
from moderation.moderator import Action, Moderator
from moderation.policy import Level, Policy
from moderation.private import Kind, find_private
from protos.generation.v1 import generation_pb2 as pb
from services.generation.bot_config import GenerationConfig
from services.generation.client import turn
from services.generation.engine.protocol import Completion, EngineEvent, EngineRequest
from services.generation.model_store import Bot, ModelStore, Version
from services.generation.request import prepare
from services.generation.response import (
    FLUSH_SECONDS,
    ReplyText,
    ResponseBuilder,
    clean,
    cut_at_stop,
    replace_last_if_all_blocked,
)
from tests.conftest import BOT, Toy
from tests.moderation.test_private import CASES, PRIVATE

STEP = 0.01
"""Seconds of a step of the fake engine."""
BLOCKING, MASKING = (Moderator(Policy(profanity=level)) for level in (Level.STRICT, Level.SOFT))
OFF, FAMILY, SOFT = map(Moderator, map(Policy.named, ("off", "family", "soft")))
STARRING = Moderator(Policy(private=Level.SOFT))


def _reply(moderator: Moderator, stop: tuple[str, ...] = ()) -> ReplyText:
    """A reply whose tokens are bytes, as with the worst of byte-level BPE."""
    return ReplyText(
        lambda ids: bytes(ids).decode(errors="replace"), stop, moderator, PromptFormat.TURNS_1
    )


def _streamed(reply: ReplyText, text: str) -> str:
    """Feed a text byte by byte, as the service does; returns all that was sent."""
    sent = ""
    for byte in text.encode():
        sent += reply.add([byte])
        if reply.is_stopped or reply.is_blocked:
            break
    return sent + reply.finish()


@given(st.text(max_size=60), st.sampled_from([(), ("стоп",), ("\n", "аб")]))
def test_what_is_sent_is_the_cleaned_text_up_to_the_stop(text: str, stop: tuple[str, ...]) -> None:
    reply = _reply(OFF, stop)
    assert (_streamed(reply, text), reply.is_stopped) == cut_at_stop(clean(text), stop)


@pytest.mark.parametrize(
    ("moderator", "text", "sent"),
    [
        (BLOCKING, "иди ты нахуй отсюда", ""),
        (BLOCKING, "пиздец какой день", ""),
        (BLOCKING, "остановка, дальше едем без остановок, пиздец", "остановка, дальше "),
        (MASKING, "вот пиздец какой день", "вот ****** какой день"),
        (MASKING, "ну пиздец же", "ну ****** же"),
    ],
)
def test_an_obscene_word_is_not_sent(moderator: Moderator, text: str, sent: str) -> None:
    reply = _reply(moderator)
    assert _streamed(reply, text) == sent
    assert reply.is_blocked == (moderator is BLOCKING)


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_nothing_of_a_private_item_is_sent_while_it_grows(kind: Kind, text: str) -> None:
    whole = f"ну вот {text} и ещё раз: {text}"
    reply = _reply(BLOCKING)
    sent = _streamed(reply, whole)
    assert whole[: min(item.start for item in find_private(whole))].startswith(sent)
    assert reply.is_blocked
    assert _streamed(_reply(STARRING), whole) == STARRING.check(whole).text
    candidate = _reply(BLOCKING).candidate(Completion(list(whole.encode()), stopped=True))
    assert (list(candidate.messages), candidate.moderation.category) == ([], "private")


@pytest.mark.parametrize("glued", ["xD", ":D", "_", "@vasya", "rub", "/usd"])
@pytest.mark.parametrize(("kind", "texts"), PRIVATE.items())
def test_what_is_glued_to_an_item_lets_none_of_it_through(
    kind: Kind, texts: list[str], glued: str
) -> None:
    for text in texts:
        start = min(item.start for item in find_private(text) if item.kind is kind)
        sent = _streamed(_reply(BLOCKING), f"ну вот {text}{glued} ок, да и всё")
        assert f"ну вот {text[:start]}".startswith(sent)


def test_words_are_sent_once_nothing_later_can_be_a_part_of_them() -> None:
    reply = _reply(BLOCKING)
    pieces = [reply.add([byte]) for byte in "в 10 вагонов и до самого конца моста".encode()]
    assert [piece for piece in pieces if piece] == ["в 10 ", "вагонов "]
    assert reply.finish() == "и до самого конца моста"


PIECES = (
    *("пиз дец", "пиз", "дец", "ху", "й", "х у й н я", "б л я", "ё б а н ы й", "п.и.з. д.а."),
    *("хуууууууууууууууу", "нахуй", "срать", "ублюдок", "ты", "тупой", "скот.", "бл*дь", "едем"),
    *("подстрахуй", "команда", "рубля", "привет", "остановка!", "автобус", "а", "и", "на", "\n"),
    *("8 999 123 45 67", "+7", "4276 3801", "i@ya.ru", "t . me / abcdef", "https://example.com"),
    *("telegram точка me / abc", "discord (точка) com / abc", "закрой свою варежку", "🚌"),
    *("очень", "запретная", "фраза"),
)
DENYING = Moderator(Policy(deny=("очень запретная фраза",)))


@settings(deadline=None)
@given(
    text=st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=30),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    moderator=st.sampled_from([BLOCKING, MASKING, FAMILY, SOFT, DENYING, OFF]),
)
def test_of_a_text_cut_anywhere_nothing_is_sent_that_the_whole_verdict_hides(
    text: str, sizes: list[int], moderator: Moderator
) -> None:
    text, data, sent = clean(text), text.encode(), ""
    reply, verdict = _reply(moderator), moderator.check(text)
    for size in cycle(sizes):
        if not data or reply.is_blocked:
            break
        piece, data = data[:size], data[size:]
        sent += reply.add(list(piece))
    sent += reply.finish()
    hidden = {index for span in verdict.spans for index in range(*span)}
    shown = "".join(
        "*" if index in hidden and not char.isspace() else char for index, char in enumerate(text)
    )
    assert shown.startswith(sent)
    assert reply.is_blocked == (verdict.action is Action.BLOCKED)
    assert reply.is_blocked or sent == verdict.text


def test_an_emoji_is_never_cut() -> None:
    reply = _reply(OFF)
    pieces = [reply.add([byte]) for byte in "да 🚌 да ".encode()]
    assert "".join([*pieces, reply.finish()]) == "да 🚌 да "
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
    ids = list(text.encode())
    candidate = _reply(BLOCKING, stop).candidate(Completion(ids, stopped=False))
    assert (list(candidate.messages), candidate.finish_reason) == (messages, reason)
    assert candidate.tokens == len(ids)


@pytest.mark.parametrize(
    ("texts", "messages", "last_action"),
    [
        (["пиздец", "привет"], [[], ["привет"]], pb.MODERATION_ACTION_NONE),
        (["пиздец", "пиздец"], [[], ["Лучше промолчу."]], pb.MODERATION_ACTION_REPLACED),
    ],
)
def test_a_blocked_candidate_has_no_messages_unless_all_are_blocked(
    texts: list[str], messages: list[list[str]], last_action: int
) -> None:
    completions = [Completion(list(text.encode()), stopped=True) for text in texts]
    candidates = [_reply(BLOCKING).candidate(each) for each in completions]
    replace_last_if_all_blocked(candidates, "Лучше промолчу.")
    assert [list(each.messages) for each in candidates] == messages
    assert candidates[0].moderation.action == pb.MODERATION_ACTION_BLOCKED
    assert candidates[0].moderation.category == "profanity"
    assert candidates[-1].moderation.action == last_action


@pytest.fixture(scope="session")
def version(toy: Toy) -> Version:
    return ModelStore(toy.bots_dir, toy.models_dir).open(BOT, toy.manifest.id)


def _builder(version: Version, stop: tuple[str, ...] = ()) -> ResponseBuilder:
    bot = Bot(BOT, Sampling(), GenerationConfig(), BLOCKING)
    sampling = pb.Sampling(stop=stop)
    asked = pb.GenerateRequest(bot=BOT, turns=[turn("Привет")], sampling=sampling)
    return ResponseBuilder(0.0, bot, version, prepare(asked, bot, version, stream=True))


def _engine(ids: list[int]) -> Any:
    """An engine that reports a token a step."""

    async def submit(request: EngineRequest) -> AsyncGenerator[EngineEvent, None]:
        for number, token in enumerate(ids, 1):
            at = number * STEP
            yield EngineEvent(1, is_last=False, first_token_at=STEP, at=at, tokens=(token,))
        at = (len(ids) + 1) * STEP
        whole = (Completion(ids, stopped=False),)
        yield EngineEvent(1, is_last=True, first_token_at=STEP, at=at, completions=whole, cached=32)

    return SimpleNamespace(submit=submit)


async def test_a_stream_is_sent_in_pieces_and_timed_by_the_engine(version: Version) -> None:
    text = "До моста недолго, а на мосту как пойдёт. Садитесь у окна."
    ids, builder = version.vocabulary.encode(text), _builder(version)
    pieces = [piece async for piece in builder.run(_engine(ids))]
    assert "".join(pieces) == text
    assert 1 < len(pieces) <= 2 + len(ids) * STEP / FLUSH_SECONDS
    assert builder.last.cached == 32
    assert builder.response().timings.first_token == STEP
    assert builder.seconds_per_token() == pytest.approx(len(ids) * STEP / (len(ids) - 1))


async def test_a_stop_string_ends_a_stream_after_what_stands_before_it(version: Version) -> None:
    ids = version.vocabulary.encode("Передаём. Сдача едет обратно.")
    builder = _builder(version, stop=("едет",))
    pieces = [piece async for piece in builder.run(_engine(ids))]
    assert "".join(pieces) == "Передаём. Сдача "
    [candidate] = builder.response().candidates
    assert list(candidate.messages) == ["Передаём. Сдача"]
    assert candidate.finish_reason == pb.FINISH_REASON_STOP
