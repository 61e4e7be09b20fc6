"""«Удалил» and «Передал» are said once it is so, and what could not be done is said instead."""

from typing import Any

import pytest

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import group, of, own, private
from tests.services.sandbox.faults import Fault

DELETE = group("/delete", reply_to_message=own("едем в депо"))
REPORT = group("/report", reply_to_message=own("грубость"))
OWNERS: dict[str, Any] = {"owner_ids": frozenset({1, 2})}
DELETIONS: list[tuple[str, Fault | None, str]] = [
    ("done", None, TEXTS.deleted),
    ("gone already", of("deleteMessage", 400, "Bad Request: message to delete not found"),
     TEXTS.deleted),
    ("too old", of("deleteMessage", 400, "Bad Request: message can't be deleted for everyone"),
     TEXTS.not_deleted),
    ("no rights", of("deleteMessage", 403, "Forbidden: no rights"), TEXTS.not_deleted),
    ("the server has no such method", of("deleteMessage", 404), TEXTS.not_deleted),
]  # fmt: skip


@cases("fault, text", DELETIONS)
async def test_deleted_is_said_once_it_is_gone(
    world: World, fault: Fault | None, text: str
) -> None:
    world.telegram.administrators.add(7)
    world.telegram.fault = fault
    world.generation.candidates = [candidate("едем в депо"), candidate("едем в парк")]
    async with world.gateway() as running:
        assert await world.ask(DELETE) == [text]
        assert await world.ask(group("автобус, куда?")) == ["едем в парк"]
        assert running.metric("outbox_size") == 0


async def test_words_that_stay_in_the_chat_do_not_come_back_by_an_answer(world: World) -> None:
    world.telegram.administrators.add(7)
    world.telegram.fault = of("deleteMessage", 400, "Bad Request: message can't be deleted")
    answers: dict[str, Any] = {
        "reply_to_message": own("едем в депо"),
        "quote": {"text": "в депо", "position": 5},
    }
    async with world.gateway():
        await world.ask(DELETE, group("фу", **answers | {"quote": None}))
        assert world.generation.heard() == [["фу"]]
        await world.ask(group("грубо", **answers))
    assert "депо" not in str(world.generation.heard())


@cases(
    "order, fault, text",
    [
        ("limited", DELETE, of("deleteMessage", 429, retry_after=300), TEXTS.not_deleted),
        ("failing", DELETE, of("deleteMessage", 502), TEXTS.not_deleted),
        ("a report", REPORT, of("sendMessage", 429, chat=1, retry_after=300), TEXTS.unheard),
    ],
)
async def test_what_telegram_does_not_do_within_seconds_is_said_to_be_not_done(
    world: World, order: dict[str, Any], fault: Fault, text: str
) -> None:
    world.configure(owner_ids=frozenset({1}))
    world.telegram.administrators.add(7)
    world.telegram.fault = fault
    async with world.gateway():
        began = world.clock.now()
        world.telegram.put(order)
        await world.says(text, chat=-100, step=0.02)
        assert world.clock.now() - began < 10


async def test_of_a_short_delay_nothing_is_said(world: World) -> None:
    world.telegram.administrators.add(7)
    world.telegram.fault = of("deleteMessage", 429, retry_after=2)
    async with world.gateway():
        world.telegram.put(DELETE)
        await world.until(lambda: world.clock.sleeps(2))
        world.telegram.fault = None
        await world.wait_out(2, world.telegram.texts)
        await world.says(TEXTS.deleted)


@pytest.mark.parametrize(("unreachable", "text"), [
    ((), TEXTS.reported), ((1,), TEXTS.reported), ((2,), TEXTS.reported), ((1, 2), TEXTS.unheard),
])  # fmt: skip
async def test_a_report_is_said_to_be_passed_on_once_an_owner_has_it(
    world: World, unreachable: tuple[int, ...], text: str
) -> None:
    world.configure(**OWNERS)
    for owner in unreachable:
        fault = of("sendMessage", 403, "Forbidden: bot can't initiate conversation", chat=owner)
        world.telegram.messenger.faults.switch_on(fault)
    async with world.gateway():
        world.telegram.put(REPORT)
        await world.says(text, chat=-100)
        await world.counts("outbox_size", 0)
    assert len(world.telegram.texts()) == 3 - len(unreachable)


async def test_an_owner_may_report_where_reports_arrive(world: World) -> None:
    world.configure(owner_ids=frozenset({7}))
    async with world.gateway():
        world.telegram.put(private("/report", reply_to_message=own("грубость", 7)))
        await world.says("Жалоба (личный чат):\nгрубость", TEXTS.reported)


async def test_while_it_is_muted_no_setting_promises_an_answer(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        muted, insane, _, awake = await world.ask(
            group("/mute 2 часа"), group("/insanity on"), group("/unmute"), group("/insanity on")
        )
    assert insane == f"{TEXTS.insanity_on} {muted}"
    assert awake == TEXTS.insanity_on


async def test_chattiness_ends_insanity(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        texts = await world.ask(group("/insanity on"), group("/chattiness 0"))
        await world.talk(group("и что?"))
        await world.counts("decisions_total", reason="not_addressed")
    assert texts == [TEXTS.insanity_on, TEXTS.chattiness_off]


async def test_a_report_is_passed_on_once_the_first_owner_has_it(world: World) -> None:
    world.configure(**OWNERS)
    world.telegram.fault = of("sendMessage", 429, chat=1, retry_after=1200)
    async with world.gateway():
        began = world.clock.now()
        world.telegram.put(REPORT)
        await world.says(TEXTS.reported, chat=-100)
        assert world.clock.now() == began


async def test_in_quiet_hours_no_setting_promises_an_answer(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        quiet, insane, often, never, _, loud = await world.ask(
            *(group("/quiet 0-24"), group("/insanity on"), group("/chattiness 100")),
            *(group("/chattiness 0"), group("/quiet off"), group("/insanity on")),
        )
    assert insane == f"{TEXTS.insanity_on} {quiet}"
    assert often == f"{TEXTS.chattiness.replace('{percent}', '100')} {quiet}"
    assert (never, loud) == (TEXTS.chattiness_off, TEXTS.insanity_on)


async def test_a_mute_until_the_next_minute_is_told(world: World) -> None:
    world.telegram.administrators.add(7)
    world.clock.jump(12 * 3600 + 59 * 60 + 20)
    async with world.gateway():
        assert await world.ask(group("/mute до 24")) == [
            TEXTS.muted.replace("{until}", "16.01 00:00")
        ]
