"""What happens to chats: migrations, kicks, deleted topics, updates of kinds nobody knows."""

import asyncio
from typing import Any

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import SELF, group, of, own, person, private


def standing(chat: int, status: str) -> dict[str, Any]:
    """The bot's standing in a chat changed."""
    member = {"user": SELF, "status": status}
    return {"chat": {"id": chat}, "from": person(), "date": 1, "new_chat_member": member}


async def test_a_group_that_became_a_supergroup_keeps_settings_and_history(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        await world.ask(group("/insanity", chat=-5), group("едем", chat=-5))
        world.telegram.put(
            group(None, chat=-5, migrate_to_chat_id=-1005),
            group(None, chat=-1005, migrate_from_chat_id=-5),
        )
        await world.talk(group("мы переехали", chat=-1005, message_id=1))
        await world.says("эхо: мы переехали", chat=-1005)
    assert world.generation.heard() == [["едем"], ["эхо: едем"], ["мы переехали"]]


@cases("told, there", [
    ("told in the old group", {"migrate_to_chat_id": -1005}, -5),
    ("told in the new one", {"migrate_from_chat_id": -5}, -1005),
])  # fmt: skip
async def test_a_command_finds_the_settings_though_talk_is_under_way(
    world: World, told: dict[str, Any], there: int
) -> None:
    world.telegram.administrators.add(7)
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        await world.ask(group("/insanity on", chat=-5))
        world.telegram.put(group("автобус", chat=there, sender=person(8)))
        await world.asks_generation()
        world.telegram.put(group(None, chat=there, **told))
        await world.ask(group("/mute 1h", chat=-1005))
        arrival = {**standing(-1005, "member"), "old_chat_member": {"status": "left"}}
        world.telegram.put_raw(my_chat_member=arrival)
        world.generation.hold.set()
        await world.handled()
        await world.talk(group("ау", chat=-1005))
        await world.handled()
        assert world.running.metric("decisions_total", reason="muted") == 1
        await world.ask(group("/unmute", chat=-1005), group("мы переехали", chat=-1005))
        assert world.telegram.texts(-1005)[-1] == "эхо: мы переехали"
    assert TEXTS.joined[:10] not in str(world.telegram.texts())


async def test_a_message_of_the_old_group_is_not_deleted_and_that_is_said(world: World) -> None:
    world.telegram.administrators.add(7)
    world.telegram.fault = of("deleteMessage", 400, "upgraded", migrate_to_chat_id=-1005)
    async with world.gateway():
        world.telegram.put(group("/delete", chat=-1005, reply_to_message=own("едем", -1005)))
        await world.says(TEXTS.not_deleted, step=0.1)


async def test_an_id_that_no_chat_has_holds_nobody_up(world: World) -> None:
    async with world.gateway():
        world.telegram.put(group(None, migrate_to_chat_id=1 << 70), group("автобус, ты тут?"))
        await world.says("эхо: автобус, ты тут?")


async def test_what_must_not_be_said_moves_along(world: World) -> None:
    world.telegram.administrators.add(7)
    world.generation.candidates = [candidate("едем в депо")]
    async with world.gateway():
        await world.ask(group("/delete", chat=-5, reply_to_message=own("едем в депо", -5)))
        world.telegram.put(group(None, chat=-5, migrate_to_chat_id=-1005))
        world.telegram.put(group("автобус", chat=-1005))
        await world.counts("replies_total", outcome="nothing")
    assert world.telegram.texts(-1005) == []


async def test_a_chat_that_takes_the_bot_back_is_answered(world: World) -> None:
    async with world.gateway():
        world.telegram.put_raw(my_chat_member=standing(-100, "member"))
        assert await world.ask(group("автобус")) == ["эхо: автобус"]


async def test_updates_of_unknown_kinds_are_passed_over(world: World) -> None:
    async with world.gateway():
        world.telegram.put_raw(poll={"id": "1"})
        world.telegram.put_raw(something_new={"message": 7})
        world.telegram.put_raw(callback_query={"id": "1", "from": person(), "chat_instance": "1"})
        world.telegram.put_raw(edited_message={"message_id": 5, "text": "автобус"})
        world.telegram.put({**private("эй"), "from": "Нина"})
        assert await world.ask(private("ой")) == ["эхо: ой"]
        await world.until(lambda: world.running.metric("updates_failed_total") >= 2)


async def test_an_answer_that_waited_too_long_is_not_sent(world: World) -> None:
    async with world.gateway():
        await world.slow_down(private("эй"), 3601)
        await world.until(lambda: world.clock.sleeps(3601))
        world.clock.advance(3601)
        await world.counts("messages_failed_total", code="stale")
    assert world.telegram.sent == []


async def test_after_an_absence_only_calls_are_answered(
    world: World,
) -> None:
    world.telegram.administrators.add(7)
    long_ago: dict[str, Any] = {"date": int(world.clock.now()) - 3600}
    async with world.gateway():
        await world.ask(group("/insanity"))
        world.telegram.put(group("ау", **long_ago), group("автобус!", **long_ago))
        await world.says(TEXTS.insanity_on, "эхо: автобус!")
        await world.counts("decisions_total", reason="stale")
    assert world.generation.heard() == [["ау", "автобус!"]]
