"""People who write to the bots of a running sandbox, and how fast they are answered.

Each person writes, waits for the answer, pauses for a moment and writes again: in a private chat,
or, every third of them, six at most, in the group with a mention. Answers are watched as the page
watches them.
`python -m benchmarks.load --page http://127.0.0.1:8081`, or `make load`.
"""

import asyncio
import itertools
import json as jsonlib
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import typer

from benchmarks.support.report import JsonOption, Line, report
from contracts.refusal import Refusal, end_process

PATIENCE = 120.0
"""Seconds without an answer after which a message counts as lost. Telegram lets a bot write twenty
messages a minute into a group: after a lively half-minute an answer there waits for the other."""
MOST_IN_GROUP = 6
"""More people there would wait for nothing but that limit."""
CROSSING = 1.0
"""Seconds after which a bot knows of a message."""
PHRASES = (
    "Привет!",
    "Как дела?",
    "Что нового?",
    "Ты где сейчас?",
    "Расскажи что-нибудь",
    "Почему так долго?",
    "А дальше что?",
    "Мне скучно",
    "Посоветуй, что поесть",
    "Хорошего дня!",
)
_LIMITS = (1, 2, 5, 10)

ChatKey = tuple[str, int | None]
"""A private chat's room; in the group the room and the message that is answered."""


@dataclass
class Outcome:
    """What became of the messages; times in seconds."""

    times: list[float] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0

    def lines(self) -> Iterator[Line]:
        written = len(self.times) + self.lost
        yield Line("written", written)
        for limit in _LIMITS:
            within = sum(seconds <= limit for seconds in self.times)
            yield Line(f"answered within {limit} s, share", within / written if written else 0)
        yield Line("answered", len(self.times))
        yield Line(f"lost, without an answer within {PATIENCE:.0f} s", self.lost)
        yield Line("answered twice", self.doubled)


@dataclass
class Answer:
    """What a bot has answered; it may be faster than the reply to the post."""

    text: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


class GroupQuestions:
    """What a bot was asked in the group and has not answered yet, by the messages' ids.

    A bot answers in the order in which it was asked, and quotes the question if it knows of
    somebody who wrote after it. So what quotes nothing answers the oldest question, unless somebody
    wrote after that, longer ago than messages cross: then it is a further part of the last answer.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, float] = {}  # the time at which somebody first wrote after it
        self._last_answered = 0

    def note(self, question: int) -> None:
        """The bot is asked."""
        self._waiting[question] = math.inf

    def note_other(self, at: float) -> None:
        """Somebody other than the bot writes."""
        self._waiting = {each: min(first, at) for each, first in self._waiting.items()}

    def answered_by(self, quoted: int | None, at: float) -> int:
        """Return the question that the bot's next message answers, which may quote it."""
        oldest, first = next(iter(self._waiting.items()), (self._last_answered, math.inf))
        unquoted = oldest if at - first < CROSSING else self._last_answered
        self._last_answered = found = quoted or unquoted
        self._waiting = {each: t for each, t in self._waiting.items() if each > found}
        return found

    def give_up(self, question: int) -> None:
        """Nobody waits for the answer any more: the next one is another's."""
        self._waiting.pop(question, None)


class Crowd:
    """The people and the answers they wait for; `texts` is what they write, in turn.

    pauses   least and most seconds between an answer and the person's next message
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        page: str,
        texts: Iterable[str],
        pauses: tuple[float, float] = (0.5, 3.0),
    ) -> None:
        self._session = session
        self._page = page
        self._texts = iter(texts)
        self._pauses = pauses
        self._answers: dict[ChatKey, Answer] = {}
        self._questions: defaultdict[int, GroupQuestions] = defaultdict(GroupQuestions)
        self.outcome = Outcome()

    async def run(self, users: int, seconds: float, patience: float = PATIENCE) -> Outcome:
        """Write for so many seconds, then wait for the answers that are due."""
        bots = (await self._state())["bots"]
        until = time.monotonic() + seconds
        async with self._session.get(f"{self._page}/events") as events:
            watching = asyncio.ensure_future(self._watch(events, bots))
            people = asyncio.gather(
                *(
                    self._person(number, bots[number % len(bots)], until, patience)
                    for number in range(users)
                )
            )
            tasks: list[asyncio.Future[Any]] = [watching, people]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not people.done():
                    raise Refusal(f"{self._page}: the sandbox has ended meanwhile")
                await people
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return self.outcome

    async def _person(
        self, number: int, bot: dict[str, Any], until: float, patience: float
    ) -> None:
        me = (await self._post("/api/people", name=f"Гость {number + 1}"))["id"]
        while True:
            await asyncio.sleep(random.uniform(*self._pauses))
            if time.monotonic() >= until:
                return
            text, began = next(self._texts), time.monotonic()
            question = 0
            if number % 3 == 2 and number < 3 * MOST_IN_GROUP:
                question = await self._write_in_group(me, f"{bot['mention']} {text}")
                answer = self._answers.setdefault(("group", question), Answer())
            else:
                answer = await self._write_in_private(me, bot["name"], text)
            try:
                await asyncio.wait_for(answer.arrived.wait(), patience)
            except TimeoutError:
                self.outcome.lost += 1
                self._questions[bot["id"]].give_up(question)
            else:
                self.outcome.times.append(time.monotonic() - began)

    async def _write_in_private(self, me: int, bot: str, text: str) -> Answer:
        answer = self._answers[f"{bot}/{me}", None] = Answer()
        await self._post("/api/messages", chat=bot, person=me, text=text)
        return answer

    async def _write_in_group(self, me: int, text: str) -> int:
        """Return the message's id."""
        body = await self._post("/api/messages", chat="group", person=me, text=text)
        return int(body["id"])

    async def _watch(self, events: aiohttp.ClientResponse, bots: list[dict[str, Any]]) -> None:
        mentions = {bot["mention"]: bot["id"] for bot in bots}
        async for line in events.content:
            if not line.startswith(b'data: {"type": "message"'):
                continue
            event = jsonlib.loads(line[6:])
            if event["from"] in mentions.values():
                self._take_answer(event)
            if event["room"] == "group":
                self._note_written(event, mentions.get(event["text"].split(" ")[0]))

    def _note_written(self, event: dict[str, Any], asked: int | None) -> None:
        for bot, questions in self._questions.items():
            if bot != event["from"]:
                questions.note_other(time.monotonic())
        if asked:
            self._questions[asked].note(event["id"])

    def _take_answer(self, event: dict[str, Any]) -> None:
        """Note a bot's message; the same text again for the same message was sent twice.

        In a private chat it answers the last message there: a further part of an answer that comes
        after the next message is taken for that one's, and makes it look faster than it was.
        """
        key: ChatKey = (event["room"], None)
        if event["room"] == "group":
            questions, now = self._questions[event["from"]], time.monotonic()
            key = "group", questions.answered_by(event["reply_to"], now)
        answer = self._answers.setdefault(key, Answer())
        self.outcome.doubled += answer.text == event["text"]
        answer.text = event["text"]
        answer.arrived.set()

    async def _state(self) -> dict[str, Any]:
        try:
            async with self._session.get(f"{self._page}/api/state") as response:
                return dict(await response.json())
        except (aiohttp.ClientError, ValueError):
            raise Refusal(f"{self._page}: no sandbox answers there; start `make demo`") from None

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self._session.post(f"{self._page}{path}", json=body) as response:
            return dict(await response.json())


async def measure(page: str, users: int, seconds: float) -> Outcome:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        crowd = Crowd(session, page, itertools.cycle(PHRASES))
        progress = asyncio.create_task(_show_progress(crowd.outcome, seconds))
        try:
            return await crowd.run(users, seconds)
        finally:
            progress.cancel()
            print(file=sys.stderr)


async def _show_progress(outcome: Outcome, seconds: float) -> None:
    began = time.monotonic()
    while True:
        passed = time.monotonic() - began
        line = f"\r{passed:4.0f} of {seconds:.0f} s, {len(outcome.times)} answered"
        print(line, end="", file=sys.stderr, flush=True)
        await asyncio.sleep(1)


def main(
    json: JsonOption = None,
    page: Annotated[str, typer.Option(help="As make demo prints it.")] = "http://127.0.0.1:8081",
    users: Annotated[int, typer.Option(help="People at once.")] = 20,
    seconds: Annotated[float, typer.Option(help="How long they write.")] = 60,
) -> None:
    """Write to the bots of a running sandbox, and print how fast they answer."""
    try:
        report(asyncio.run(measure(page, users, seconds)).lines(), json)
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    typer.run(main)
