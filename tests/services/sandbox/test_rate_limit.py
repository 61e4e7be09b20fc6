"""Limits on sending: what is accepted, what has to wait, and that this wait is enough."""

import pytest
from aiogram import Bot, exceptions

from services.sandbox.rate_limit import FloodLimit
from tests.services.sandbox.conftest import ANYA, GROUP_ID, NOON, Sandbox, refused, running


def wait_after(
    limit: FloodLimit, times: list[float], chat: int = GROUP_ID, private: bool = False
) -> int:
    """Send at each of the times; returns how long the last has to wait."""
    wait = 0
    for now in times:
        wait = limit.wait("avtobus", chat, private, now)
        if not wait:
            limit.count("avtobus", chat, now)
    return wait


@pytest.mark.parametrize(
    ("times", "private", "wait"),
    [
        ([0.0, 0.0, 0.0, 0.0], False, 3),
        ([0.0, 0.0, 0.0, 2.5], False, 1),
        ([0.0, 0.0, 0.0, 3.0], False, 0),
        ([0.0, 1.5, 1.5, 2.0], True, 1),
        ([float(n) for n in range(40)], True, 0),
        ([*(2.0 * n for n in range(20)), 40.0], False, 20),
        ([*(2.0 * n for n in range(20)), 60.0], False, 0),
        ([*(2.0 * n for n in range(20)), 40.0], True, 0),
    ],
)
def test_a_chat_takes_so_many(times: list[float], private: bool, wait: int) -> None:
    assert wait_after(FloodLimit(on=True), times, private=private) == wait


def test_a_bot_sends_thirty_a_second_over_all_chats() -> None:
    limit = FloodLimit(on=True)
    assert [wait_after(limit, [0.0], chat=chat) for chat in range(31)] == [0] * 30 + [1]
    assert limit.wait("polkson", 0, private=True, now=0.0) == 0
    assert wait_after(limit, [1.0], chat=31) == 0
    assert limit.refused == 1


def test_waiting_as_long_as_told_is_enough() -> None:
    limit, now = FloodLimit(on=True), NOON + 0.1
    for _ in range(100):
        while wait := wait_after(limit, [now]):
            now += wait
            assert not limit.wait("avtobus", GROUP_ID, private=False, now=now)
        now += 0.2


async def refusal(one: Bot, chat_id: int) -> int:
    with pytest.raises(exceptions.TelegramRetryAfter, match="Too Many Requests") as raised:
        await one.send_message(chat_id, "ещё")
    return int(raised.value.retry_after)


async def test_who_goes_over_is_told_how_long_to_wait() -> None:
    now = [float(NOON)]
    async with running(lambda: now[0], sandbox_rate_limit=True) as sandbox:
        for _ in range(3):
            await sandbox.send("раз")
        now[0] += 0.5
        assert await refusal(sandbox.avtobus, GROUP_ID) == 3
        await sandbox.polkson.send_message(GROUP_ID, "у меня свой счёт")
        await sandbox.say("Привет", chat="avtobus")
        await sandbox.avtobus.send_message(ANYA, "и у чата свой")
        now[0] += 3
        await sandbox.send("два")
        log = await sandbox.get("/admin/log")
    assert (log["rate_limited"], len(log["sent"])) == (1, 6)


async def test_the_limits_are_off_until_switched_on(sandbox: Sandbox) -> None:
    for _ in range(5):
        await sandbox.send("раз")
    assert await sandbox.post("/admin/rate-limit", {"on": True}) == {"on": True}
    for _ in range(3):
        await refused(sandbox.send(" "), "empty")  # not accepted, not counted
        await sandbox.send("два")
    assert await refusal(sandbox.avtobus, GROUP_ID) == 3
    await sandbox.post("/admin/rate-limit", {"on": False})
    await sandbox.send("три")
