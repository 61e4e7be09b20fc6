"""Telegram fails, or the disk: who waits, what is counted, what is logged."""

import asyncio
import importlib
import itertools
import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiogram.exceptions import ClientDecodeError, TelegramServerError

from contracts.refusal import Refusal
from services.gateway.flow import MOST_CRASHES, MOST_FAILURES
from services.gateway.sender import MOST_AMBIGUOUS
from telemetry.logs import LogSettings, configure
from tests.services.gateway.conftest import World, cases
from tests.services.gateway.telegram import FIRST_SENT, TOKEN, group, instead, of, private
from tests.services.sandbox.faults import Fault


async def test_a_slowed_chat_waits_alone(world: World) -> None:
    async with world.gateway():
        await world.slow_down(private("а", 1), 30)
        world.telegram.put(private("б", 2), private("в", 1))
        await world.says("эхо: б", chat=2)
        await world.wait_out(30, lambda: world.telegram.texts(1))
        await world.says("эхо: а", "эхо: в", chat=1)


async def test_a_wait_for_telegram_survives_a_restart(world: World) -> None:
    async with world.gateway():
        await world.slow_down(private("а"), 30)
    async with world.gateway():
        await world.wait_out(30, world.telegram.texts)
        await world.says("эхо: а")


async def test_a_slowed_chat_waits_though_the_clock_is_set_back(world: World) -> None:
    async with world.gateway():
        await world.slow_down(private("эй"), 5)
        world.telegram.fault = of("sendMessage", 429, chat=7, retry_after=47)
        await world.until(lambda: world.clock.sleeps(5))
        world.clock.advance(-3600)
        world.clock.advance(5)
        await world.counts("rate_limited_total", 2)
        world.telegram.fault = None
        await world.wait_out(47, world.telegram.texts)
        await world.says("эхо: эй")


def lost(times: int) -> Fault:
    """Messages are sent without their answer."""
    return Fault(kind="drop", method="sendMessage", after=True, times=times)


GONE = "Bad Request: message thread not found"
UNREADABLE = {"message_id": FIRST_SENT, "date": "yesterday"}
DELIVERIES: list[tuple[str, Fault, int, str, dict[str, str]]] = [
    ("refused", of("sendMessage", 400), 0, "messages_failed_total", {"code": "400"}),
    ("blocked by the user", of("sendMessage", 403), 0, "messages_failed_total", {"code": "403"}),
    ("topic gone", of("sendMessage", 400, GONE), 0, "messages_failed_total", {"code": "topic"}),
    ("may have arrived", lost(1), 2, "messages_maybe_doubled_total", {}),
    ("may have arrived each time", lost(999), MOST_AMBIGUOUS, "messages_failed_total",
     {"code": "unknown"}),
    ("an answer that cannot be read is an answer", instead("sendMessage", UNREADABLE, after=True),
     1, "messages_sent_total", {}),
    ("so is one that is no object", instead("sendMessage", True, after=True), 1,
     "messages_sent_total", {}),
    ("typing is refused", of("sendChatAction", 403), 1, "messages_sent_total", {}),
    ("a server that knows no menus", of("setMyCommands", 404), 1, "messages_sent_total", {}),
]  # fmt: skip


@cases("fault, times, metric, labels", DELIVERIES)
async def test_how_often_a_message_arrives_and_what_is_counted(
    world: World, fault: Fault, times: int, metric: str, labels: dict[str, str]
) -> None:
    world.telegram.fault = fault
    async with world.gateway():
        world.telegram.put(private("а"))
        await world.counts(metric, 1, 1, **labels)
        await world.counts("outbox_size", 0, step=1)
        world.clock.advance(100)
        await world.settle()
    assert world.telegram.texts() == ["эхо: а"] * times
    assert world.telegram.calls.count("sendMessage") == max(times, 1)


async def test_a_server_error_is_tried_again(world: World) -> None:
    world.telegram.fault = of("sendMessage", 500)
    async with world.gateway() as running:
        world.telegram.put(private("а"))
        await world.until(lambda: world.telegram.calls.count("sendMessage") == 3, step=1)
        world.telegram.fault = None
        await world.counts("messages_sent_total", step=1)
        await world.counts("outbox_size", 0)
        assert running.metric("messages_maybe_doubled_total") == 3


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_answer_follows_a_group_that_was_upgraded(world: World, is_told: bool) -> None:
    """Whether the gateway is told while it answers, or hears of it when it sends."""
    world.telegram.fault = of("sendMessage", 400, "upgraded", -5, migrate_to_chat_id=-1005)
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(group("автобус", chat=-5))
        await world.asks_generation()
        if is_told:
            await world.talk(group(None, chat=-1005, migrate_from_chat_id=-5))
        world.generation.hold.set()
        await world.says("эхо: автобус", chat=-1005)


async def test_half_a_surrogate_pair_and_a_clock_set_back_stop_nothing(world: World) -> None:
    async with world.gateway():
        await world.talk(private("до"))
        world.clock.advance(-3600)
        await world.talk(private("половина \ud83d"), private("после"))
        last = world.telegram.offsets[-1]
        await world.until(lambda: len(world.telegram.offsets) > 5)
        assert world.telegram.offsets[-1] == last
        await world.until(lambda: "эхо: после" in world.telegram.texts(), step=0.5)


async def test_a_clock_set_back_while_it_answers_keeps_nobody_waiting(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(private("до"))
        await world.asks_generation()
        world.clock.advance(-3600)
        world.generation.hold.set()
        await world.says("эхо: до")


def fail(patch: pytest.MonkeyPatch, query: str, times: int) -> Callable[[], bool]:
    """Make a query of the store fail so often; tells when it did not any more."""
    module, name = f"services.gateway.store.{query}".rsplit(".", 1)
    real, calls = getattr(importlib.import_module(module), name), itertools.count(1)
    done = threading.Event()

    def failing(*args: Any, **kwargs: Any) -> Any:
        if next(calls) <= times:
            raise sqlite3.OperationalError("database or disk is full")
        done.set()
        return real(*args, **kwargs)

    patch.setattr(f"{module}.{name}", failing)
    return done.is_set


QUERIES = ["inbox.waiting", "outbox.recover", "inbox.end", "inbox.begin", "history.read_basis"]


@pytest.mark.parametrize("query", [*QUERIES, "outbox.plan"])
async def test_a_disk_that_fails_for_a_while_loses_nothing(world: World, query: str) -> None:
    fail(world.patch, query, 2 * MOST_FAILURES)
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.says("эхо: эй", step=1)
        await world.settle()
    await world.says("эхо: эй")


@pytest.mark.parametrize("step", ["mark_sent", "postpone", "mark_failed"])
async def test_a_disk_that_fails_after_a_call_doubles_nothing(world: World, step: str) -> None:
    is_done = fail(world.patch, f"outbox.{step}", 3)
    if step != "mark_sent":
        world.telegram.fault = of("sendMessage", 400 if step == "mark_failed" else 500)
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(is_done, step=1)
        world.telegram.fault = None
        world.telegram.put(private("ой"))
        await world.counts("outbox_size", 0, step=1)
        await world.says(*["эхо: эй"] * (step != "mark_failed"), "эхо: ой", step=1)


@pytest.mark.parametrize(
    "strange",
    [
        {"date": "yesterday"}, {"entities": [7]}, {"reply_to_message": {"from": [], "text": 5}},
        {"forward_origin": {"type": "new"}}, {"via_bot": "?"}, {"something": {"new": 1}},
        {"chat": {"id": 7, "type": "private", "title": 5, "colour": "red"}},
    ],
)  # fmt: skip
async def test_a_strange_field_spoils_no_message(world: World, strange: dict[str, Any]) -> None:
    async with world.gateway():
        assert await world.ask({**private("эй"), **strange}) == ["эхо: эй"]


async def test_an_update_is_given_up_after_failures_of_its_own(
    world: World,
) -> None:
    """Failures of Telegram or of the disk in between are none of its own."""
    failures: list[Exception] = [
        *[TelegramServerError(None, "no")] * 7,  # type: ignore[arg-type]
        *[ClientDecodeError("no JSON", ValueError(), "<html>")] * 4,
        *[sqlite3.DatabaseError("database disk image is malformed")] * 4,
        *[LookupError()] * (MOST_FAILURES - 1),
    ]

    async def break_down(*_args: object) -> tuple[list[str], list[object]]:
        if failures:
            raise failures.pop(0)
        return ["всё же"], []

    world.patch.setattr("services.gateway.ask_generation.Generation.ask", break_down)
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.says("всё же", step=1)
        failures += [LookupError()] * MOST_FAILURES
        world.telegram.put(private("ой"))
        await world.counts("updates_failed_total", step=1)
    assert not failures


async def test_an_update_over_which_the_process_dies_is_given_up(world: World) -> None:
    async def die(*_args: object) -> list[str]:
        died.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]

    def fail_to_write(*_args: object) -> int:
        raise OSError  # a process that is killed writes nothing down

    world.telegram.put(private("эй"))
    with world.patch.context() as patch:
        patch.setattr("services.gateway.ask_generation.Generation.ask", die)
        patch.setattr("services.gateway.store.inbox.end_attempt", fail_to_write)
        for _ in range(MOST_CRASHES):
            died = asyncio.Event()
            running = await world.start()
            await world.until(died.is_set)
            await running.kill()
    async with world.gateway():
        await world.counts("updates_failed_total")
        assert await world.ask(private("ой")) == ["эхо: ой"]


async def test_stops_in_the_midst_of_an_update_are_no_deaths(world: World) -> None:
    world.settings = world.settings.model_copy(update={"drain_seconds": 0.0})
    world.telegram.put(private("эй"))
    world.generation.hold = asyncio.Event()
    for number in range(1, MOST_CRASHES + 2):
        async with world.gateway():
            await world.asks_generation(number)
    world.generation.hold.set()
    async with world.gateway():
        await world.says("эхо: эй")


async def test_the_token_and_the_texts_are_never_logged(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings(log_format="json"), "gateway")
    caplog.set_level(logging.INFO)  # libraries are never heard below warning
    world.telegram.messenger.faults.switch_on(lost(1))
    world.telegram.fault = of("getUpdates", 500)
    async with world.gateway():
        await world.counts("polls_total", 2, step=1, outcome="server")
        world.telegram.fault = of("sendChatAction", 500)
        world.telegram.put(private("тайна"))
        await world.counts("messages_sent_total", step=1)
    heard = "".join(capsys.readouterr()) + caplog.text
    assert "message not sent" in heard
    for secret in (TOKEN, TOKEN.split(":")[1], "тайна"):
        assert secret not in heard


async def test_two_gateways_do_not_share_a_database(world: World) -> None:
    async with world.gateway():
        with pytest.raises(Refusal, match="another gateway"):
            await world.start()
