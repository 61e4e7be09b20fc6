"""The admission queue: its bounds, its fairness, and what it says of deadlines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import Clock
from services.generation.admission import LONGEST_RETRY, SHORTEST_RETRY, AdmissionQueue, ChatKey
from services.generation.errors import Rejection


class FakeClock(Clock):
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


def _key(chat: str) -> ChatKey:
    return ("avtobus", chat)


class Requests:
    """Requests that hold their slots until they are ended; `served` is the order of admission."""

    def __init__(self, queue: AdmissionQueue) -> None:
        self.queue = queue
        self.served: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, chat: str, candidates: int = 1) -> None:
        self._tasks[name] = asyncio.create_task(self._stay(name, chat, candidates))
        await _run_others()

    async def _stay(self, name: str, chat: str, candidates: int) -> None:
        async with self.queue.admit(_key(chat), candidates, None):
            self.served.append(name)
            await asyncio.Event().wait()

    async def end(self, *names: str) -> None:
        for name in names or self._tasks:
            self._tasks[name].cancel()
        await _run_others()


async def _run_others() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def _requests(slots: int, most: int = 100) -> AsyncIterator[Requests]:
    requests = Requests(AdmissionQueue(slots, most, FakeClock()))
    try:
        yield requests
    finally:
        await requests.end()
        assert (requests.queue.running, requests.queue.waiting) == (0, 0)


async def _pass(queue: AdmissionQueue, chat: str, seconds_left: float | None = None) -> None:
    async with queue.admit(_key(chat), 1, seconds_left):
        pass


async def _assert_rejected(
    reason: str, queue: AdmissionQueue, chat: str, seconds_left: float | None = None
) -> Rejection:
    with pytest.raises(Rejection) as rejected:
        await _pass(queue, chat, seconds_left)
    assert rejected.value.reason == reason
    assert rejected.value.retry_after is not None
    assert SHORTEST_RETRY <= rejected.value.retry_after <= 1.5 * LONGEST_RETRY
    return rejected.value


async def test_chats_are_served_round_robin_whatever_each_has_waiting() -> None:
    async with _requests(slots=1) as requests:
        for number in range(4):
            await requests.come(f"talkative {number}", "talkative")
        await requests.come("quiet", "quiet")
        order = ["talkative 0", "talkative 1", "quiet", "talkative 2", "talkative 3"]
        for name in order:
            await requests.end(name)
        assert requests.served == order


async def test_a_request_for_many_candidates_is_not_passed_by_unless_it_is_cancelled() -> None:
    async with _requests(slots=4) as requests:
        await requests.come("two", "a", candidates=2)
        for name in ("four", "four more"):
            await requests.come(name, name, candidates=4)
        await requests.come("one", "c")
        assert requests.served == ["two"]
        await requests.end("two")
        assert requests.served == ["two", "four"]
        await requests.end("four more")
        assert requests.queue.waiting == 1
        await requests.end("four")
        assert requests.served == ["two", "four", "one"]


async def test_a_full_queue_rejects_and_one_chat_cannot_fill_it() -> None:
    async with _requests(slots=1, most=8) as requests:
        for number in range(5):  # one is served, four wait
            await requests.come(f"{number}", "talkative")
        of_chat = await _assert_rejected("QUEUE_FULL", requests.queue, "talkative")
        assert "of this chat" in str(of_chat)
        for number in range(5, 8):  # requests that name no chat are of many
            await requests.come(f"{number}", "")
        assert requests.queue.waiting == 7
        of_all = await _assert_rejected("QUEUE_FULL", requests.queue, "quiet")
        assert "of this chat" not in str(of_all)


async def _hold(queue: AdmissionQueue, clock: FakeClock, seconds: float, fails: bool) -> None:
    with suppress(RuntimeError):
        async with queue.admit(_key("a"), 1, None):
            clock.seconds += seconds
            if fails:
                raise RuntimeError


async def _queue_of_two_seconds() -> tuple[AdmissionQueue, FakeClock]:
    """A queue with one slot, in which replies take two seconds each."""
    clock = FakeClock()
    queue = AdmissionQueue(1, 100, clock)
    await _hold(queue, clock, 2.0, fails=False)
    return queue, clock


async def test_who_would_be_late_is_rejected_at_once_and_who_would_not_waits() -> None:
    queue, _ = await _queue_of_two_seconds()
    async with queue.admit(_key("a"), 1, 0.5):  # nobody is before it
        await _assert_rejected("WOULD_BE_LATE", queue, "b", 1.5)
        await _assert_rejected("WOULD_BE_LATE", queue, "b", 2.5)  # admitted in time, but too late
        waits = asyncio.create_task(_pass(queue, "b", 3.5))
        await _run_others()
        assert queue.waiting == 1
    await waits


async def test_a_quiet_chat_is_not_late_because_of_a_talkative_one() -> None:
    queue, _ = await _queue_of_two_seconds()
    async with queue.admit(_key("talkative"), 1, None):
        waiting = [asyncio.create_task(_pass(queue, "talkative", 1e9)) for _ in range(20)]
        await _run_others()
        await _assert_rejected("WOULD_BE_LATE", queue, "talkative", 6.0)
        quiet = asyncio.create_task(_pass(queue, "quiet", 6.0))
        await _run_others()
        assert not quiet.done()
    await asyncio.gather(quiet, *waiting)


async def test_what_failed_teaches_only_that_replies_take_longer() -> None:
    queue, clock = await _queue_of_two_seconds()
    for seconds, too_few in ((0.0, 1.0), (20.0, 19.0)):
        for _ in range(100):
            await _hold(queue, clock, seconds, fails=True)
        async with queue.admit(_key("a"), 1, None):
            await _assert_rejected("WOULD_BE_LATE", queue, "b", too_few)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.booleans()), max_size=30))
def test_whatever_happens_no_slot_is_lost(visits: list[tuple[str, int, bool]]) -> None:
    async def visit() -> None:
        queue = AdmissionQueue(4, 100, FakeClock())

        async def stay(chat: str, slots: int) -> None:
            async with queue.admit(_key(chat), slots, None):
                await _run_others()

        tasks = [asyncio.create_task(stay(chat, slots)) for chat, slots, _ in visits]
        await asyncio.sleep(0)
        for task, (_, _, cancelled) in zip(tasks, visits, strict=True):
            if cancelled:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (queue.running, queue.waiting) == (0, 0)
        async with queue.admit(_key("last"), 4, None):
            assert queue.running == 1

    asyncio.run(visit())
