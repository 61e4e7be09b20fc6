"""Commands and buttons wait for no talk, and some end it; talk never overtakes a command."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import grpc
import pytest

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import group, of, own, person, topic
from tests.services.sandbox.faults import Fault

BEFORE = [group("автобус, ты тут?", sender=person(8))]


def press(data: str) -> dict[str, Any]:
    message = {"message_id": 5, "date": 1, "chat": {"id": -100, "type": "supergroup"}}
    return {"id": "1", "from": person(), "data": data, "message": message}


@pytest.fixture
async def busy(world: World) -> World:
    """A world in which a reply is never thought up, and person 7 administrates."""
    world.telegram.administrators.add(7)
    world.generation.hold = asyncio.Event()
    world.configure(persona_user_id=7)
    return world


@pytest.mark.parametrize("text", ["/help", "/privacy", "/insanity on", "/mute", "/reset"])
async def test_a_command_is_answered_while_an_answer_is_thought_up(busy: World, text: str) -> None:
    async with busy.gateway():
        busy.telegram.put(*BEFORE)
        await busy.asks_generation()
        began = busy.clock.now()
        busy.telegram.put(group(text))
        await busy.until(lambda: len(busy.telegram.sent) == 1)
        assert busy.clock.now() == began
        busy.telegram.put_raw(callback_query=press("insane:1"))
        await busy.until(lambda: len(busy.telegram.press_answers) == 1)
        assert busy.generation.hold
        busy.generation.hold.set()


async def test_a_command_is_answered_while_generation_is_down(world: World) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        world.telegram.put(*BEFORE)
        await world.asks_generation()
        world.telegram.put(group("/help"))
        await world.says(TEXTS.help)


async def test_a_command_is_answered_while_an_answer_is_typed(world: World) -> None:
    world.configure(delays=1.0, typing_speed=1.0)
    async with world.gateway():
        world.telegram.put(*BEFORE)
        await world.until(lambda: world.clock.sleeps(6.0))
        world.telegram.put(group("/help"))
        await world.says(TEXTS.help)
        await world.says(TEXTS.help, "эхо: автобус, ты тут?", step=0.1)


@cases(
    "order, ends",
    [
        ("mute", {"message": group("/mute")}, True),
        ("opt-out, wherever it is said", {"message": group("/optout", chat=-200)}, True),
        ("delete", {"message": group("/delete", reply_to_message=own("фу"))}, True),
        ("reset", {"message": group("/reset")}, True),
        ("the button", {"callback_query": press("mute:1")}, True),
        ("a command that asks for no silence", {"message": group("/help")}, False),
        ("a mute of another topic", {"message": group("/mute", **topic(6))}, False),
        ("a mute of another chat", {"message": group("/mute", chat=-200)}, False),
    ],
)
@pytest.mark.parametrize("is_typed", [False, True])
async def test_some_end_what_is_thought_up_or_typed(
    busy: World, order: dict[str, Any], ends: bool, is_typed: bool
) -> None:
    busy.configure(delays=1.0, typing_speed=1.0, persona_user_id=7)
    async with busy.gateway() as running:
        busy.telegram.put(*BEFORE)
        await busy.asks_generation()
        assert busy.generation.hold
        if is_typed:
            busy.generation.hold.set()
            await busy.until(lambda: busy.clock.sleeps(6.0))
        busy.telegram.put_raw(**order)
        await busy.until(lambda: len(busy.telegram.sent + busy.telegram.press_answers) > 0)
        busy.generation.hold.set()
        if ends:
            await busy.counts("outbox_size", 0)
            busy.clock.advance(10)
            await busy.settle()
        else:
            await busy.counts("reply_duration_seconds_count", 1, step=0.1)
        spoken = [text for text in busy.telegram.texts() if "эхо" in text]
        assert bool(spoken) is not ends
        assert running.metric("updates_failed_total") == 0


async def test_what_is_said_after_a_command_is_heard_after_it(busy: World) -> None:
    async with busy.gateway():
        busy.telegram.put(*BEFORE)
        await busy.asks_generation()
        assert busy.generation.hold
        busy.telegram.put(group("/reset"), group("автобус, а теперь?"))
        await busy.asks_generation(2)
        busy.generation.hold.set()
        await busy.says(TEXTS.reset, "эхо: автобус, а теперь?")
    assert busy.generation.heard() == [["автобус, а теперь?"]]


@cases(
    "waiting, remains",
    [
        ("a remark", {"message": group("код от подъезда 4321", sender=person(8))}, False),
        ("a question", {"message": group("автобус, код 4321?")}, False),
        ("what is said in a topic", {"message": group("автобус, где 5?", **topic(5))}, True),
        ("a move", {"message": group(None, chat=-100, migrate_to_chat_id=-1005)}, True),
    ],
)
async def test_reset_forgets_what_waits_to_be_answered(
    busy: World, waiting: dict[str, Any], remains: bool
) -> None:
    async with busy.gateway():
        busy.telegram.put(*BEFORE)
        await busy.asks_generation()
        busy.telegram.put_raw(**waiting)
        busy.telegram.put(group("/reset"))
        await busy.says(TEXTS.reset)
        assert busy.generation.hold
        busy.generation.hold.set()
        await busy.handled()
    with closing(sqlite3.connect(busy.settings.database)) as db:
        kept = db.execute("SELECT 1 FROM turns UNION SELECT 1 FROM chats").fetchall()
    assert bool(kept) is remains


@pytest.mark.parametrize("fault", [Fault(kind="slow", method="sendMessage", seconds=0.2, times=1),
    of("sendMessage", 429, retry_after=5)])  # fmt: skip
async def test_a_line_under_way_is_no_part_of_the_new_conversation(
    world: World, fault: Fault
) -> None:
    """It may arrive, but is neither remembered nor sent again."""
    world.telegram.administrators.add(7)
    world.generation.candidates = [candidate("старое", "слово")]
    world.telegram.fault = fault
    async with world.gateway():
        world.telegram.put(*BEFORE)
        await world.until(lambda: "sendMessage" in world.telegram.calls)
        world.telegram.fault = None
        world.telegram.put(group("/reset"))
        await world.until(lambda: TEXTS.reset in world.telegram.texts(), step=0.1)
        await world.handled(step=0.1)
        assert "слово" not in world.telegram.texts()
        world.telegram.put(group("автобус, а теперь?"))
        await world.asks_generation(2)
    assert world.generation.heard() == [["автобус, а теперь?"]]


@pytest.mark.parametrize("text", ["погода хорошая", "автобус, какая погода?"])
@pytest.mark.parametrize("order", [{"message": group("/insanity off")},
    {"message": group("/chattiness 0")}, {"message": group("/quiet 8-20")},
    {"callback_query": press("insane:0")}])  # fmt: skip
@pytest.mark.parametrize("is_typed", [False, True])
async def test_what_nobody_asked_for_ends_with_the_mode(
    busy: World, text: str, order: dict[str, Any], is_typed: bool
) -> None:
    busy.configure(delays=1.0, typing_speed=1.0, insanity=True)
    async with busy.gateway():
        busy.telegram.put(group(text, sender=person(8)))
        await busy.asks_generation()
        assert busy.generation.hold
        if is_typed:
            busy.generation.hold.set()
            await busy.counts("outbox_size", 1)
        busy.telegram.put_raw(**order)
        await busy.until(lambda: len(busy.telegram.sent + busy.telegram.press_answers) > 0)
        busy.generation.hold.set()
        await busy.handled(step=1.0)
    assert any("эхо" in each for each in busy.telegram.texts()) is ("автобус" in text)


@pytest.mark.parametrize("text", ["/chattiness 0", "/quiet 8-20", "/insanity off"])
async def test_a_whole_burst_that_nobody_asked_for_ends_with_the_mode(
    busy: World, text: str
) -> None:
    talk: dict[str, Any] = {"insanity": True} if "insanity" in text else {"chattiness": 100}
    busy.configure(delays=1.0, burst_seconds=2.0, **talk)
    async with busy.gateway():
        busy.telegram.put(*(group(each, sender=person(8)) for each in ("обедать", "кто идёт?")))
        await busy.asks_generation(step=0.1)
        busy.telegram.put(group(text))
        await busy.until(lambda: len(busy.telegram.sent) > 0)
        assert busy.generation.hold
        busy.generation.hold.set()
        await busy.handled(step=0.1)
    assert len(busy.telegram.sent) == 1


@cases(
    "order, ends",
    [
        ("a mute", {"message": group("/mute")}, True),
        ("insanity off", {"message": group("/insanity off")}, True),
        ("quiet hours", {"message": group("/quiet 8-20")}, True),
        ("the button", {"callback_query": press("insane:0")}, True),
        ("a reset, which is of one conversation", {"message": group("/reset")}, False),
    ],
)
@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("is_typed", [False, True])
async def test_what_ends_in_the_general_topic_ends_where_its_settings_hold(
    busy: World, order: dict[str, Any], ends: bool, is_apart: bool, is_typed: bool
) -> None:
    busy.configure(delays=1.0, typing_speed=1.0, insanity=True)
    async with busy.gateway():
        if is_apart:
            await busy.ask(group("/insanity on", **topic(5)))
            busy.clock.advance(1.0)  # Telegram takes a message a second
        busy.telegram.put(group("погода хорошая", sender=person(8), **topic(5)))
        await busy.asks_generation()
        assert busy.generation.hold
        if is_typed:
            busy.generation.hold.set()
            await busy.counts("outbox_size", 1)
        before = len(busy.telegram.sent)
        busy.telegram.put_raw(**order)
        await busy.until(lambda: len(busy.telegram.sent[before:] + busy.telegram.press_answers) > 0)
        await busy.settle()
        shown = len(busy.telegram.actions)
        busy.clock.advance(4.6)
        await busy.settle()
        assert (len(busy.telegram.actions) > shown) is (is_apart or not ends)
        busy.generation.hold.set()
        await busy.handled(step=1.0)
    assert any("эхо" in each for each in busy.telegram.texts()) is (is_apart or not ends)


async def test_what_waited_for_an_ended_answer_is_not_taken_up_by_a_remark(busy: World) -> None:
    busy.configure(delays=1.0, burst_seconds=2.0)
    async with busy.gateway():
        busy.telegram.put(*BEFORE, group("едем?", sender=person(8)))
        await busy.asks_generation(step=0.1)
        busy.telegram.put(group("/delete", reply_to_message=own("фу")))
        await busy.says(TEXTS.deleted, step=0.1)
        busy.telegram.put(group("ну и погода", sender=person(8)))
        await busy.counts("decisions_total", reason="not_addressed", step=0.1)
    with closing(sqlite3.connect(busy.settings.database)) as db:
        reasons = [reason for (reason,) in db.execute("SELECT reason FROM turns ORDER BY id")]
    assert reasons == ["silenced", "silenced", "not_addressed"]
