"""People who write to the bots of a running sandbox, and how fast they are answered.

Each person writes, waits for the answer, pauses for a moment and writes again: in a private chat,
or, every third of them, in the group with a mention. Answers are watched as the page watches them.
`python -m benchmarks.load --page http://127.0.0.1:8081`, or `make load`.
"""

import asyncio
import itertools
import json as jsonlib
import random
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import aiohttp
import typer

from benchmarks.support.report import JsonOption, Line, report
from contracts.refusal import Refusal, end_process

PATIENCE = 30.0
"""Seconds without an answer after which a message counts as lost."""
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
        self._last_in_group = 0
        self.outcome = Outcome()

    async def run(self, users: int, seconds: float, patience: float = PATIENCE) -> Outcome:
        """Write for so many seconds, then wait for the answers that are due."""
        bots = (await self._state())["bots"]
        until = time.monotonic() + seconds
        async with self._session.get(f"{self._page}/events") as events:
            watching = asyncio.ensure_future(self._watch(events, {bot["id"] for bot in bots}))
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
            if number % 3 == 2:
                answer = await self._write_in_group(me, f"{bot['mention']} {text}")
            else:
                answer = await self._write_in_private(me, bot["name"], text)
            try:
                await asyncio.wait_for(answer.arrived.wait(), patience)
            except TimeoutError:
                self.outcome.lost += 1
            else:
                self.outcome.times.append(time.monotonic() - began)

    async def _write_in_private(self, me: int, bot: str, text: str) -> Answer:
        answer = self._answers[f"{bot}/{me}", None] = Answer()
        await self._post("/api/messages", chat=bot, person=me, text=text)
        return answer

    async def _write_in_group(self, me: int, text: str) -> Answer:
        message = await self._post("/api/messages", chat="group", person=me, text=text)
        self._last_in_group = max(self._last_in_group, message["id"])
        return self._answers.setdefault(("group", message["id"]), Answer())

    async def _watch(self, events: aiohttp.ClientResponse, bots: set[int]) -> None:
        async for line in events.content:
            if line.startswith(b"data: "):
                event = jsonlib.loads(line[6:])
                if event["type"] == "message" and event["from"] in bots:
                    self._take_answer(event)

    def _take_answer(self, event: dict[str, Any]) -> None:
        """Note a bot's message; the same text again for the same message was sent twice.

        In the group one that quotes nothing answers the last message there.
        """
        quoted = event["reply_to"] or self._last_in_group
        key = (event["room"], quoted if event["room"] == "group" else None)
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
