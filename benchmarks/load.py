"""`python -m benchmarks.load`: people who write to the bots of a running sandbox.

Each person writes, waits for the answer, thinks for a moment and writes again: in private chats,
and every third of them in the group, by mention. Answers are watched as the page watches them.
"""

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

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

Place = tuple[str, int | None]
"""A private chat's room; in the group the room and the message that is answered."""


@dataclass
class Report:
    """What became of the messages; times in seconds."""

    times: list[float] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0

    def lines(self) -> Iterator[str]:
        written = len(self.times) + self.lost
        yield f"written   {written:5}"
        for limit in _LIMITS:
            within = sum(seconds <= limit for seconds in self.times)
            yield f"in {limit:2} s   {within:5}  {within / written if written else 0:6.1%}"
        yield f"answered  {len(self.times):5}"
        yield f"lost      {self.lost:5}  (no answer within {PATIENCE:.0f} s)"
        yield f"doubled   {self.doubled:5}"


@dataclass
class Answer:
    """What a bot has said at a place; a bot may be faster than the reply to the post."""

    text: str = ""
    come: asyncio.Event = field(default_factory=asyncio.Event)


class Crowd:
    """The people and what they wait for; `texts` is what they write, in turn.

    thinking   least and most seconds between an answer and the person's next message
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        page: str,
        texts: Iterable[str],
        thinking: tuple[float, float] = (0.5, 3.0),
    ) -> None:
        self._session = session
        self._page = page
        self._texts = iter(texts)
        self._thinking = thinking
        self._answers: dict[Place, Answer] = {}
        self._last = 0  # message of ours in the group
        self.report = Report()

    async def run(self, users: int, seconds: float, patience: float = PATIENCE) -> Report:
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
        return self.report

    async def _person(
        self, number: int, bot: dict[str, Any], until: float, patience: float
    ) -> None:
        me = (await self._post("/api/people", name=f"Гость {number + 1}"))["id"]
        while True:
            await asyncio.sleep(random.uniform(*self._thinking))
            if time.monotonic() >= until:
                return
            text, began = next(self._texts), time.monotonic()
            if number % 3 == 2:
                answer = await self._in_group(me, f"{bot['mention']} {text}")
            else:
                answer = await self._in_private(me, bot["name"], text)
            try:
                await asyncio.wait_for(answer.come.wait(), patience)
            except TimeoutError:
                self.report.lost += 1
            else:
                self.report.times.append(time.monotonic() - began)

    async def _in_private(self, me: int, bot: str, text: str) -> Answer:
        answer = self._answers[f"{bot}/{me}", None] = Answer()
        await self._post("/api/messages", chat=bot, person=me, text=text)
        return answer

    async def _in_group(self, me: int, text: str) -> Answer:
        said = await self._post("/api/messages", chat="group", person=me, text=text)
        self._last = max(self._last, said["id"])
        return self._answers.setdefault(("group", said["id"]), Answer())

    async def _watch(self, events: aiohttp.ClientResponse, bots: set[int]) -> None:
        async for line in events.content:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["type"] == "message" and event["from"] in bots:
                    self._heard(event)

    def _heard(self, event: dict[str, Any]) -> None:
        """A bot's message; the same words again for the same message were sent twice.

        In the group one that quotes nothing answers the last message there.
        """
        quoted = event["reply_to"] or self._last
        place = (event["room"], quoted if event["room"] == "group" else None)
        answer = self._answers.setdefault(place, Answer())
        self.report.doubled += answer.text == event["text"]
        answer.text = event["text"]
        answer.come.set()

    async def _state(self) -> dict[str, Any]:
        try:
            async with self._session.get(f"{self._page}/api/state") as response:
                return dict(await response.json())
        except (aiohttp.ClientError, ValueError):
            raise Refusal(f"{self._page}: no sandbox answers there; start `make demo`") from None

    async def _post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self._session.post(f"{self._page}{path}", json=body) as response:
            return dict(await response.json())


async def main(page: str, users: int, seconds: float) -> None:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        crowd = Crowd(session, page, itertools.cycle(PHRASES))
        telling = asyncio.create_task(_tell(crowd.report, seconds))
        try:
            report = await crowd.run(users, seconds)
        finally:
            telling.cancel()
            print(file=sys.stderr)
        print(*report.lines(), sep="\n")


async def _tell(report: Report, seconds: float) -> None:
    """A line that shows that it is going on."""
    began = time.monotonic()
    while True:
        passed = time.monotonic() - began
        line = f"\r{passed:4.0f} of {seconds:.0f} s, {len(report.times)} answered"
        print(line, end="", file=sys.stderr, flush=True)
        await asyncio.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m benchmarks.load", description=__doc__)
    parser.add_argument("--page", default="http://127.0.0.1:8081", help="as make demo prints it")
    parser.add_argument("--users", type=int, default=20, help="people at once (20)")
    parser.add_argument("--seconds", type=float, default=60, help="how long they write (60)")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.page, options.users, options.seconds))
    except KeyboardInterrupt:
        sys.exit(130)
    except Refusal as refusal:
        end_process(refusal)
