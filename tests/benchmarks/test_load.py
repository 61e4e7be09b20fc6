"""People of the load test know which message of a bot answers them, also where questions cross."""

import asyncio
import itertools
import time

import pytest
from aiogram import Bot
from aiogram.types import Message, ReplyParameters

from benchmarks.load import CROSSING, Crowd, GroupQuestions
from tests.services.sandbox.conftest import running


@pytest.mark.parametrize(
    ("happens", "answered"),
    [
        ("asks 1, says", [1]),
        ("asks 1, other, says", [1]),
        ("asks 1, other, asks 2, says, quotes 2", [1, 2]),
        ("asks 1, other, asks 2, quotes 1, says", [1, 2]),
        ("asks 1, says, says, asks 2, says", [1, 1, 2]),
        ("asks 1, quotes 1, asks 2, other, later, says, quotes 2, says", [1, 1, 2, 2]),
        ("asks 1, asks 2, quotes 2, asks 3, says", [2, 3]),
        ("asks 1, gives up 1, asks 2, says", [2]),
    ],
)
def test_what_quotes_nothing_answers_the_oldest_question_or_goes_on(
    happens: str, answered: list[int]
) -> None:
    questions, now, found = GroupQuestions(), 100.0, []
    for each in happens.split(", "):
        match each.split():
            case ["asks", number]:
                questions.note(int(number))
            case ["gives", "up", number]:
                questions.give_up(int(number))
            case ["other"]:
                questions.note_other(now)
            case ["later"]:
                now += CROSSING
            case ["says"]:
                found.append(questions.answered_by(None, now))
            case ["quotes", number]:
                found.append(questions.answered_by(int(number), now))
    assert found == answered


async def test_an_answer_that_crosses_with_the_next_question_loses_nobody() -> None:
    async with running(time.time, ["avtobus"]) as sandbox:
        crowd = Crowd(sandbox.http, sandbox.url, itertools.cycle(["Привет"]), (0.6, 0.6))
        answering = asyncio.create_task(_answer_both_in_the_group(sandbox.avtobus))
        outcome = await crowd.run(users=6, seconds=1.0, patience=1.0)  # each writes once
        answering.cancel()
    assert (len(outcome.times), outcome.lost, outcome.doubled) == (6, 0, 0)


async def _answer_both_in_the_group(bot: Bot) -> None:
    """Answer private messages at once; in the group two, the first as if nobody wrote since."""
    asked: list[Message] = []
    offset = 0
    while True:
        for update in await bot.get_updates(offset, timeout=1):
            offset, message = update.update_id + 1, update.message
            assert message
            if message.chat.type == "private":
                await bot.send_message(message.chat.id, "раз")
            else:
                asked.append(message)
        if len(asked) == 2:
            first, second = asked
            await bot.send_message(first.chat.id, "раз")
            quoted = ReplyParameters(message_id=second.message_id)
            await bot.send_message(second.chat.id, "два", reply_parameters=quoted)
            asked.clear()
