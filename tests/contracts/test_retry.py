"""The retry loop waits on the clock that it is given, as long as its policy says."""

from dataclasses import dataclass, field

import pytest

from contracts.clock import Clock
from contracts.retry import backoff, retry


@dataclass
class FakeClock(Clock):
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return sum(self.slept)

    def monotonic(self) -> float:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def attempt(failures: int, clock: FakeClock, most: int) -> str:
    """Fail so many times; a policy that gives up after `most` attempts waits their numbers."""
    left = iter([ConnectionError()] * failures)

    async def step() -> str:
        for error in left:
            raise error
        return "done"

    return await retry(step, clock, lambda error, number: number if number < most else None)


async def test_it_tries_until_a_step_succeeds_or_its_policy_gives_up() -> None:
    clock = FakeClock()
    assert await attempt(3, clock, most=5) == "done"
    assert clock.slept == [0, 1, 2]
    with pytest.raises(ConnectionError):
        await attempt(3, clock, most=2)
    assert clock.slept == [0, 1, 2, 0, 1]


def test_pauses_double_up_to_the_longest_and_half_of_each_is_random(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for share in (min, max):
        monkeypatch.setattr("random.uniform", lambda *bounds, share=share: share(bounds))
        pauses = [backoff(number, first=1.0, longest=5.0) for number in (0, 1, 2, 3, 10**6)]
        assert pauses == [share(0.5, 1.0) * seconds for seconds in (1, 2, 4, 5, 5)]
