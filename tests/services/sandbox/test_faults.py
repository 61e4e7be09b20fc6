"""Faults strike the calls that they name, as often as they are to, and no others."""

import asyncio
from typing import Any

import pytest
from aiogram import exceptions

from services.sandbox.server import account
from tests.conftest import PATIENCE
from tests.services.sandbox.conftest import GROUP_ID, TOKENS, Sandbox
from tests.services.sandbox.faults import Call, Fault, Faults

CALL = Call("sendMessage", account("avtobus", TOKENS["avtobus"]), {"chat_id": GROUP_ID})


async def used_up(sandbox: Sandbox) -> None:
    """Wait until the faults have struck as often as they were to."""
    async with asyncio.timeout(PATIENCE):
        while (await sandbox.get("/admin/log"))["faults"]:
            pass


@pytest.mark.parametrize(
    ("narrowed", "strikes"),
    [
        ({}, True),
        ({"method": "sendmessage", "bot": "avtobus", "chat": GROUP_ID}, True),
        ({"method": "getUpdates"}, False),
        ({"bot": "polkson"}, False),
        ({"chat": 5}, False),
    ],
)
def test_a_fault_strikes_what_it_names(narrowed: dict[str, object], strikes: bool) -> None:
    faults = Faults()
    faults.switch_on(Fault.model_validate({"kind": "drop", **narrowed}))
    assert (faults.take(CALL) is not None) == strikes


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ({"code": 429, "parameters": {"retry_after": 7}}, exceptions.TelegramRetryAfter, "in 7 s"),
        ({"code": 409}, exceptions.TelegramConflictError, "Conflict"),
        ({"code": 403, "description": "no"}, exceptions.TelegramForbiddenError, "no"),
        ({}, exceptions.TelegramServerError, "Internal Server Error"),
    ],
)
async def test_an_error_is_answered_and_the_call_has_no_effect(
    sandbox: Sandbox, fault: dict[str, Any], error: type[Exception], words: str
) -> None:
    await sandbox.fault("error", method="sendMessage", times=1, **fault)
    with pytest.raises(error, match=words):
        await sandbox.send("раз")
    await sandbox.send("два")
    assert await sandbox.sent() == ["два"]


async def test_a_fault_lasts_until_it_is_switched_off(sandbox: Sandbox) -> None:
    for off in (await sandbox.fault("error", bot="avtobus"), "all"):
        for _ in range(2):
            with pytest.raises(exceptions.TelegramServerError):
                await sandbox.avtobus.get_me()
        await sandbox.polkson.get_me()
        await sandbox.post("/admin/faults", {"off": off})
        await sandbox.avtobus.get_me()
        await sandbox.fault("error", bot="avtobus")


@pytest.mark.parametrize("after", [False, True])
async def test_another_result_may_be_answered(sandbox: Sandbox, after: bool) -> None:
    await sandbox.fault("result", method="sendMessage", result={"message_id": 1}, after=after)
    with pytest.raises(exceptions.ClientDecodeError):
        await sandbox.send("раз")
    assert await sandbox.sent() == ["раз"] * after


@pytest.mark.parametrize("after", [False, True])
async def test_a_slow_call_is_answered_as_usual(sandbox: Sandbox, after: bool) -> None:
    """It takes until the sandbox ends, or for ever."""
    await sandbox.fault("slow", times=1, after=after)
    sending = asyncio.create_task(sandbox.send("раз"))
    await used_up(sandbox)
    assert await sandbox.sent() == ["раз"] * after
    assert not sending.done()
    await sandbox.end()
    assert (await sending).text == "раз"


async def test_a_slow_call_takes_as_long_as_it_is_to(sandbox: Sandbox) -> None:
    await sandbox.fault("slow", times=1, seconds=0.01)
    assert (await sandbox.send("раз")).text == "раз"
    assert await sandbox.sent() == ["раз"]


async def test_a_held_request_gets_no_answer_in_time(sandbox: Sandbox) -> None:
    held = await sandbox.fault("hold")
    with pytest.raises(exceptions.TelegramNetworkError, match="timeout"):
        await sandbox.send("раз", request_timeout=0.1)
    assert await sandbox.sent() == []
    await sandbox.post("/admin/faults", {"off": held})
    await sandbox.fault("hold", times=1, seconds=0.01)
    with pytest.raises(exceptions.TelegramServerError, match="Gateway Timeout"):
        await sandbox.avtobus.get_me()


@pytest.mark.parametrize("after", [False, True])
async def test_a_dropped_connection_before_or_after_the_effect(
    sandbox: Sandbox, after: bool
) -> None:
    await sandbox.fault("drop", times=1, after=after)
    with pytest.raises(exceptions.TelegramNetworkError):
        await sandbox.send("раз")
    assert await sandbox.sent() == ["раз"] * after
    await sandbox.send("два")


async def test_bad_faults_are_refused_by_key(untouched: Sandbox) -> None:
    for body, words in (({"on": {"kind": "none"}}, "faults: on.kind: "), ({"no": 1}, "unknown")):
        await untouched.refuses("/admin/faults", body, words)


async def test_polls_and_streams_end_when_the_sandbox_does(sandbox: Sandbox) -> None:
    await sandbox.fault("hold", bot="polkson", times=1)
    held = asyncio.create_task(sandbox.polkson.get_me())
    async with sandbox.events() as events:
        polling = asyncio.create_task(
            sandbox.avtobus.get_updates(timeout=3600, request_timeout=3600)
        )
        await sandbox.polled("avtobus")
        await used_up(sandbox)
        await sandbox.end()
        async with asyncio.timeout(PATIENCE):
            assert [event async for event in events] == []
            outcomes = await asyncio.gather(polling, held, return_exceptions=True)
    assert outcomes[0] == []
    assert isinstance(outcomes[1], exceptions.TelegramServerError)
