"""Telegram fails, or the disk: who waits, what is counted, what is logged."""

import asyncio
import logging
from typing import Any

import pytest

from contracts.refusal import Refusal
from services.gateway.outbox import AMBIGUOUS
from services.gateway.outbox_store import OutboxStore
from services.gateway.store import Store
from telemetry.logs import LogSettings, configure
from tests.services.gateway.conftest import CONFIG, World
from tests.services.gateway.telegram import FIRST_SENT, TOKEN, group, instead, of, only, private


async def test_a_slowed_chat_waits_alone(world: World) -> None:
    world.telegram.fault = only("sendMessage", 1, 429, "Too Many Requests", retry_after=30)
    async with world.gateway() as running:
        world.telegram.put(private("а", 1))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        world.telegram.fault = None
        world.telegram.put(private("б", 2), private("в", 1))
        await world.until(lambda: world.telegram.texts(2) == ["эхо: б"])
        world.clock.advance(29)
        await world.settle()
        assert world.telegram.texts(1) == []
        world.clock.advance(1)
        await world.until(lambda: world.telegram.texts(1) == ["эхо: а", "эхо: в"])


async def test_a_wait_for_telegram_survives_a_restart(world: World) -> None:
    world.telegram.fault = only("sendMessage", 1, 429, "Too Many Requests", retry_after=30)
    async with world.gateway() as running:
        world.telegram.put(private("а", 1))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
    world.telegram.fault = None
    async with world.gateway():
        await world.settle()
        assert world.telegram.sent == []
        world.clock.advance(30)
        await world.until(lambda: len(world.telegram.sent) == 1)


@pytest.mark.parametrize("code", [400, 403])
async def test_a_refused_message_is_counted_and_not_tried_again(world: World, code: int) -> None:
    world.telegram.fault = only("sendMessage", 1, code, "bot was blocked by the user")
    async with world.gateway() as running:
        world.telegram.put(private("а", 1), private("б", 2))
        await world.until(lambda: running.metric("messages_failed_total", code=str(code)) == 1)
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.clock.advance(100)
        await world.settle()
        assert world.telegram.calls.count("sendMessage") == 2


async def test_a_server_error_is_tried_again(world: World) -> None:
    world.telegram.fault = of("sendMessage", 500, "Internal Server Error")
    async with world.gateway() as running:
        world.telegram.put(private("а"))
        await world.until(lambda: world.telegram.calls.count("sendMessage") == 3, step=1)
        world.telegram.fault = None
        await world.until(lambda: running.metric("messages_sent_total") == 1, step=1)
        await world.until(lambda: running.metric("outbox_size") == 0)
        assert running.metric("messages_maybe_doubled_total") == 3


async def test_a_lost_answer_may_double_the_message_and_is_counted(world: World) -> None:
    world.telegram.lose_answers(1)
    async with world.gateway() as running:
        world.telegram.put(private("а"))
        await world.until(lambda: running.metric("messages_sent_total") == 1, step=1)
        assert world.telegram.texts() == ["эхо: а"] * 2
        assert running.metric("messages_maybe_doubled_total") == 1


async def test_an_answer_that_cannot_be_read_is_an_answer(world: World) -> None:
    unreadable = {"message_id": FIRST_SENT, "date": "yesterday"}
    world.telegram.fault = instead("sendMessage", unreadable, after=True)
    async with world.gateway() as running:
        world.telegram.put(private("а"))
        await world.until(lambda: running.metric("messages_sent_total") == 1)
    assert len(world.telegram.sent) == 1


async def test_a_message_that_may_have_arrived_each_time_is_given_up(world: World) -> None:
    world.telegram.lose_answers(1000)
    async with world.gateway() as running:
        world.telegram.put(private("а"))
        lost = {"code": "unknown"}
        await world.until(lambda: running.metric("messages_failed_total", **lost) == 1, step=2)
    assert len(world.telegram.sent) == AMBIGUOUS


async def test_an_answer_settled_after_the_group_moved_follows_it(world: World) -> None:
    world.telegram.fault = only("sendMessage", -5, 400, "upgraded", migrate_to_chat_id=-1005)
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(group("автобус", chat=-5))
        await world.until(lambda: len(world.generation.requests) == 1)
        await world.talk(group(None, chat=-1005, migrate_from_chat_id=-5))
        world.generation.hold.set()
        await world.until(lambda: len(world.telegram.texts(-1005)) == 1)


async def test_a_command_that_fails_for_a_while_keeps_its_place(world: World) -> None:
    world.telegram.administrators = {7}
    world.telegram.fault = of("getChatMember", 429, "no", retry_after=50)
    async with world.gateway():
        world.telegram.put(group("/insanity"), group("и мне"))
        await world.until(lambda: world.clock.sleeps(50))
        world.clock.advance(49)
        await world.settle()
        assert world.telegram.calls.count("getChatMember") == 1
        world.telegram.fault = None
        world.clock.advance(1)
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == [CONFIG.insanity_on, "эхо: и мне"]


async def test_an_upgraded_group_is_written_to_where_it_moved(world: World) -> None:
    world.telegram.fault = only("sendMessage", -5, 400, "upgraded", migrate_to_chat_id=-1005)
    async with world.gateway():
        world.telegram.put(group("автобус", chat=-5))
        await world.until(lambda: len(world.telegram.texts(-1005)) == 1)


async def test_half_a_surrogate_pair_and_a_clock_set_back_stop_nothing(world: World) -> None:
    async with world.gateway():
        await world.talk(private("до"))
        world.clock.advance(-3600)
        await world.talk(private("половина \ud83d"), private("после"))
        last = world.telegram.offsets[-1]
        await world.until(lambda: len(world.telegram.offsets) > 5)
        assert world.telegram.offsets[-1] == last
        await world.until(lambda: "эхо: после" in world.telegram.texts(), step=0.5)


async def test_a_slowed_chat_waits_though_the_clock_is_set_back(world: World) -> None:
    world.telegram.fault = only("sendMessage", 7, 429, "Too Many Requests", retry_after=5)
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        world.telegram.fault = only("sendMessage", 7, 429, "Too Many Requests", retry_after=60)
        world.clock.advance(-3600)
        world.clock.advance(5)
        await world.until(lambda: running.metric("rate_limited_total") == 2)
        world.clock.advance(59)
        await world.settle()
        assert running.metric("rate_limited_total") == 2
        world.telegram.fault = None
        world.clock.advance(1)
        await world.until(lambda: len(world.telegram.sent) == 1)


async def test_a_clock_set_back_while_it_answers_keeps_nobody_waiting(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        await world.talk(private("до"))
        await world.until(lambda: len(world.generation.requests) == 1)
        world.clock.advance(-3600)
        world.generation.hold.set()
        await world.until(lambda: world.telegram.texts() == ["эхо: до"])


async def test_a_disk_that_fails_for_a_while_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = Store.settle, iter(range(2))

    async def settle(self: Store, *args: Any) -> int:
        if next(failures, None) is not None:
            raise OSError
        return await real(self, *args)

    monkeypatch.setattr(Store, "settle", settle)
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(lambda: len(world.telegram.sent) == 1, step=1)
        await world.settle()
    assert world.telegram.texts() == ["эхо: эй"]


@pytest.mark.parametrize("step", ["sent", "postpone", "fail"])
async def test_a_disk_that_fails_after_a_call_neither_doubles_nor_forgets_it(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real, calls = getattr(OutboxStore, step), []

    async def write(self: OutboxStore, *args: Any) -> None:
        calls.append(args)
        if len(calls) <= 3:
            raise OSError
        await real(self, *args)

    monkeypatch.setattr(OutboxStore, step, write)
    if step != "sent":
        code = 400 if step == "fail" else 500
        world.telegram.fault = only("sendMessage", 7, code, "no")
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: len(calls) > 3, step=1)
        world.telegram.fault = None
        world.telegram.put(private("ой"))
        await world.until(lambda: running.metric("outbox_size") == 0, step=1)
        await world.until(lambda: "эхо: ой" in world.telegram.texts(), step=1)
    assert world.telegram.texts() == (["эхо: ой"] if step == "fail" else ["эхо: эй", "эхо: ой"])


async def test_an_update_that_nobody_can_read_spoils_no_other(world: World) -> None:
    async with world.gateway() as running:
        broken = private("эй")
        broken["date"] = "yesterday"
        world.telegram.put(broken, private("ой"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        await world.until(lambda: running.metric("updates_failed_total") == 1)
    assert world.telegram.texts() == ["эхо: ой"]


async def test_a_handler_that_fails_is_repeated_and_then_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_args: object) -> list[str]:
        raise LookupError

    monkeypatch.setattr("services.gateway.thinking.Thinking.reply", break_down)
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("updates_failed_total") == 1, step=1)


async def test_typing_that_is_refused_is_in_nobodys_way(world: World) -> None:
    world.telegram.fault = of("sendChatAction", 403, "no")
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(lambda: len(world.telegram.sent) == 1)


async def test_the_token_and_the_texts_are_never_logged(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(LogSettings(log_format="json"), "gateway")
    caplog.set_level(logging.INFO)  # libraries are never heard below warning
    world.telegram.lose_answers(1)
    world.telegram.fault = of("getUpdates", 500, "no")
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="server") == 2, step=1)
        world.telegram.fault = of("sendChatAction", 500, "no")
        world.telegram.put(private("тайна"))
        await world.until(lambda: running.metric("messages_sent_total") == 1, step=1)
    heard = "".join(capsys.readouterr()) + caplog.text
    assert "message not sent" in heard
    for secret in (TOKEN, TOKEN.split(":")[1], "тайна"):
        assert secret not in heard


async def test_two_gateways_do_not_share_a_database(world: World) -> None:
    async with world.gateway():
        with pytest.raises(Refusal, match="another gateway"):
            await world.start()
