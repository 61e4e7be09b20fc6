"""What happens to chats: migrations, kicks, deleted topics, updates of kinds nobody knows."""

from typing import Any

import pytest

from tests.services.gateway.conftest import TEXTS, World, candidate
from tests.services.gateway.telegram import BOT_ID, USERNAME, group, only, person, private

SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}


def standing(chat: int, status: str, before: str = "member") -> dict[str, Any]:
    """The bot's standing in a chat changed."""
    more = {"until_date": 0} if status == "kicked" else {}
    kind = "private" if chat > 0 else "supergroup"
    return {
        "chat": {"id": chat, "type": kind, "title": "Салон"},
        "from": person(),
        "date": 1_800_000_000,
        "old_chat_member": {"user": SELF, "status": before},
        "new_chat_member": {"user": SELF, "status": status, **more},
    }


async def test_a_group_that_became_a_supergroup_keeps_settings_and_history(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway() as running:
        world.telegram.put(group("/insanity", chat=-5))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(group("едем", chat=-5))
        await world.until(lambda: running.metric("messages_sent_total") == 2)
        world.telegram.put(
            group(None, chat=-5, migrate_to_chat_id=-1005),
            group(None, chat=-1005, migrate_from_chat_id=-5),
        )
        await world.talk(group("мы переехали", chat=-1005, message_id=1))
        await world.until(lambda: world.telegram.texts(-1005) == ["эхо: мы переехали"])
    turns = [list(turn.messages) for turn in world.generation.requests[-1].turns]
    assert turns == [["едем"], ["эхо: едем"], ["мы переехали"]]


async def test_an_id_that_no_chat_has_holds_nobody_up(world: World) -> None:
    async with world.gateway():
        world.telegram.put(group(None, migrate_to_chat_id=1 << 70))
        world.telegram.put(group("автобус, ты тут?"))
        await world.until(lambda: world.telegram.texts(-100) == ["эхо: автобус, ты тут?"])


async def test_what_must_not_be_said_moves_along(world: World) -> None:
    world.telegram.administrators = {7}
    world.generation.candidates = [candidate("едем в депо")]
    bot = {"message_id": 50, "date": 1, "chat": {"id": -5, "type": "group"}, "from": SELF}
    async with world.gateway() as running:
        said = {**bot, "text": "едем в депо"}
        world.telegram.put(group("/delete", chat=-5, reply_to_message=said))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(group(None, chat=-5, migrate_to_chat_id=-1005))
        world.telegram.put(group("автобус", chat=-1005))
        await world.until(lambda: running.metric("replies_total", outcome="nothing") == 1)
    assert world.telegram.texts(-1005) == []


@pytest.mark.parametrize(("chat", "status"), [(-100, "kicked"), (-100, "left"), (7, "kicked")])
async def test_a_chat_that_puts_the_bot_out_gets_nothing_any_more(
    world: World, chat: int, status: str
) -> None:
    world.telegram.fault = only("sendMessage", chat, 429, "Too Many Requests", retry_after=9)
    async with world.gateway() as running:
        world.telegram.put(private("автобус", 7) if chat > 0 else group("автобус", chat=chat))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        world.telegram.put_raw(my_chat_member=standing(chat, status))
        await world.until(lambda: running.metric("messages_failed_total", code="given_up") == 1)
        assert running.metric("put_out_total") == 1
        world.telegram.fault = None
        world.clock.advance(10)
        await world.settle()
        assert world.telegram.sent == []
        world.telegram.put(private("эй", 8))
        await world.until(lambda: len(world.telegram.sent) == 1)


async def test_a_chat_that_takes_the_bot_back_is_answered(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put_raw(my_chat_member=standing(-100, "member", before="left"))
        world.telegram.put(group("автобус"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        assert running.metric("put_out_total") == 0


async def test_a_deleted_topic_is_told_apart(world: World) -> None:
    text = "Bad Request: message thread not found"
    world.telegram.fault = only("sendMessage", -100, 400, text)
    async with world.gateway() as running:
        world.telegram.put(group("автобус", is_topic_message=True, message_thread_id=5))
        await world.until(lambda: running.metric("messages_failed_total", code="topic") == 1)


async def test_updates_of_unknown_kinds_are_passed_over(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put_raw(poll={"id": "1"})
        world.telegram.put_raw(something_new={"message": 7})
        world.telegram.put_raw(callback_query={"id": "1", "from": person(), "chat_instance": "1"})
        world.telegram.put_raw(edited_message={"message_id": 5, "text": "автобус"})
        world.telegram.put(private("эй"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        await world.until(lambda: running.metric("updates_failed_total") >= 1)


async def test_an_answer_that_waited_too_long_is_not_sent(world: World) -> None:
    world.telegram.fault = only("sendMessage", 7, 429, "Too Many Requests", retry_after=3601)
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        world.telegram.fault = None
        world.clock.advance(3601)
        await world.until(lambda: running.metric("messages_failed_total", code="stale") == 1)
    assert world.telegram.sent == []


async def test_what_was_written_while_the_bot_was_away_is_answered_when_it_was_called(
    world: World,
) -> None:
    world.telegram.administrators = {7}
    long_ago = int(world.clock.now()) - 3600
    async with world.gateway() as running:
        world.telegram.put(group("/insanity"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(group("ау", date=long_ago), group("автобус!", date=long_ago))
        await world.until(lambda: len(world.telegram.sent) == 2)
        assert running.metric("decisions_total", reason="stale") == 1
    assert world.telegram.texts() == [TEXTS.insanity_on, "эхо: автобус!"]
    assert "ау" in str(world.generation.requests[0].turns)
