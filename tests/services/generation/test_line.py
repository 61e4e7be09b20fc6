"""The line before the engine: its bounds, its fairness, and what it says of being late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.line import LATEST, SOONEST, Key, Line, QueueFull, WouldBeLate


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _chat(name: str) -> Key:
    return ("avtobus", name)


class Guests:
    """Requests that hold their places until told to leave, in the order of being served."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.served: list[str] = []
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, chat: str, candidates: int = 1) -> None:
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._stay(name, chat, candidates))
        await _settle()

    async def _stay(self, name: str, chat: str, candidates: int) -> None:
        async with self.line.place(_chat(chat), candidates, None):
            self.served.append(name)
            await self._leave[name].wait()

    async def leave(self, name: str) -> None:
        self._leave[name].set()
        await _settle()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        await _settle()

    async def end(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def _settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def _guests(places: int, most: int = 100) -> AsyncIterator[Guests]:
    guests = Guests(Line(places, most))
    try:
        yield guests
    finally:
        await guests.end()
        assert (guests.line.running, guests.line.waiting) == (0, 0)


async def test_chats_are_served_in_turn_whatever_each_has_waiting() -> None:
    async with _guests(places=1) as guests:
        await guests.come("first", "talkative")
        for number in range(3):
            await guests.come(f"talkative {number}", "talkative")
        await guests.come("quiet", "quiet")
        for name in ("first", "talkative 0", "quiet", "talkative 1"):
            await guests.leave(name)
        assert guests.served == ["first", "talkative 0", "quiet", "talkative 1", "talkative 2"]


async def test_a_request_for_many_candidates_is_not_passed_by() -> None:
    async with _guests(places=4) as guests:
        await guests.come("two", "a", candidates=2)
        await guests.come("four", "b", candidates=4)
        await guests.come("one", "c")
        assert guests.served == ["two"]
        await guests.leave("two")
        assert guests.served == ["two", "four"]


async def test_one_that_gives_up_leaves_the_line_and_holds_up_nobody() -> None:
    async with _guests(places=2) as guests:
        await guests.come("running", "a")
        await guests.come("four", "b", candidates=4)
        await guests.come("next", "c")
        assert guests.line.waiting == 2
        await guests.give_up("four")
        assert guests.served == ["running", "next"]


async def test_a_full_line_is_refused_with_a_time_to_come_back() -> None:
    async with _guests(places=1, most=2) as guests:
        await guests.come("running", "a")
        await guests.come("waiting", "b")
        with pytest.raises(QueueFull) as refused:
            async with guests.line.place(_chat("c"), 1, None):
                pass
        assert SOONEST <= refused.value.retry_after <= 1.5 * LATEST


async def test_who_would_be_late_is_refused_at_once_and_who_would_not_waits() -> None:
    clock = Clock()
    line = Line(1, 100, clock)
    for _ in range(50):  # replies take two seconds each
        async with line.place(_chat("a"), 1, None):
            clock.now += 2.0
    async with line.place(_chat("a"), 1, 0.5):  # nobody is before it
        with pytest.raises(WouldBeLate) as refused:
            async with line.place(_chat("b"), 1, 1.5):
                pass
        assert refused.value.retry_after > 0
        with pytest.raises(WouldBeLate):  # its turn would come in time, but not the reply
            await _pass(line, "b", 2.5)
        patient = asyncio.create_task(_pass(line, "b", 3.5))
        await _settle()
        assert line.waiting == 1
    await patient


async def _pass(line: Line, chat: str, seconds_left: float | None) -> None:
    async with line.place(_chat(chat), 1, seconds_left):
        pass


async def test_a_quiet_chat_is_not_late_because_of_a_talkative_one() -> None:
    clock = Clock()
    line = Line(1, 100, clock)
    async with line.place(_chat("a"), 1, None):
        clock.now += 2.0
    async with line.place(_chat("talkative"), 1, None):
        waiting = [asyncio.create_task(_pass(line, "talkative", 1e9)) for _ in range(20)]
        await _settle()
        with pytest.raises(WouldBeLate):
            await _pass(line, "talkative", 6.0)
        quiet = asyncio.create_task(_pass(line, "quiet", 6.0))
        await _settle()
        assert not quiet.done()
    await asyncio.gather(quiet, *waiting)


async def test_one_chat_cannot_fill_the_line() -> None:
    async with _guests(places=1, most=8) as guests:
        for number in range(5):  # one is served, four wait
            await guests.come(str(number), "talkative")
        with pytest.raises(QueueFull, match="of this chat"):
            await _pass(guests.line, "talkative", None)
        await guests.come("quiet", "quiet")
        assert guests.line.waiting == 5


async def test_requests_that_name_no_chat_may_fill_the_line() -> None:
    async with _guests(places=1, most=8) as guests:
        for number in range(8):
            await guests.come(str(number), "")
        with pytest.raises(QueueFull, match="as many requests as"):
            await _pass(guests.line, "", None)


async def test_what_failed_teaches_only_that_replies_take_longer() -> None:
    clock = Clock()
    line = Line(1, 100, clock)
    async with line.place(_chat("a"), 1, None):
        clock.now += 2.0
    for _ in range(100):
        with pytest.raises(RuntimeError):
            async with line.place(_chat("a"), 1, None):
                raise RuntimeError
    async with line.place(_chat("a"), 1, None):
        with pytest.raises(WouldBeLate):
            await _pass(line, "b", 1.0)
    for _ in range(100):
        with suppress(asyncio.CancelledError):
            async with line.place(_chat("a"), 1, None):
                clock.now += 20.0  # then the caller's deadline passes
                raise asyncio.CancelledError
    async with line.place(_chat("a"), 1, None):
        with pytest.raises(WouldBeLate):
            await _pass(line, "b", 19.0)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.sampled_from(["stay", "give up"])),
        max_size=30,
    )
)
def test_whatever_happens_no_place_is_lost(visits: list[tuple[str, int, str]]) -> None:
    async def visit() -> None:
        line = Line(4, 100)
        tasks = [asyncio.create_task(_visit(line, chat, places)) for chat, places, _ in visits]
        await asyncio.sleep(0)
        for task, (_, _, deed) in zip(tasks, visits, strict=True):
            if deed == "give up":
                task.cancel()
            await asyncio.sleep(0)
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        assert (line.running, line.waiting) == (0, 0)
        async with line.place(_chat("last"), 4, None):
            assert line.running == 1

    asyncio.run(visit())


async def _visit(line: Line, chat: str, places: int) -> None:
    async with line.place(_chat(chat), places, None):
        for _ in range(3):
            await asyncio.sleep(0)
