"""What the bot says when it is added to a group, and what privacy mode takes from it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.telegram import BOT_ID, SELF, USERNAME, group, instead, person
from tests.services.gateway.test_crash import kill_at_commit
from tests.services.gateway.test_settings_keyboard import press

NAMES = f"@{USERNAME}, «автобус», «Водитель»"


def moved(before: object, after: object, kind: str = "supergroup", chat: int = -100) -> Any:
    """An update: the bot's own standing in a chat changed."""
    where = {"id": chat, "type": kind, "title": "Салон"}
    members = {"old_chat_member": before, "new_chat_member": after}
    return {"chat": where, "from": person(), "date": 1, **members}


def member(status: str) -> dict[str, Any]:
    return {"user": SELF, "status": status}


def joined(calls: str = NAMES) -> str:
    return TEXTS.joined.replace("{calls}", calls)


ARRIVALS: list[tuple[str, Any, bool]] = [
    ("added", moved(member("left"), member("member")), True),
    ("added as administrator", moved(member("left"), member("administrator")), True),
    ("taken back", moved(member("kicked"), member("member")), True),
    ("to a small group", moved(member("left"), member("member"), "group"), True),
    ("with unreadable fields", moved({"status": "left", "user": 5}, {"status": "member"}), True),
    ("promoted", moved(member("member"), member("administrator")), False),
    ("demoted", moved(member("administrator"), member("member")), False),
    ("rights taken", moved(member("member"), member("restricted")), False),
    ("a channel", moved(member("left"), member("administrator"), "channel"), False),
    ("unblocked by a person", moved(member("kicked"), member("member"), "private", 7), False),
    ("from who knows what", moved("left", member("member")), False),
]  # fmt: skip


@cases("change, is_greeted", ARRIVALS)
async def test_added_to_a_group_it_says_who_it_is(
    world: World, change: Any, is_greeted: bool
) -> None:
    async with world.gateway():
        world.telegram.put_raw(my_chat_member=change)
        world.telegram.put(group("автобус"))
        await world.says(*[joined()] * is_greeted, "эхо: автобус")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_it_is_said_once_though_killed_in_between(world: World, before: bool) -> None:
    await kill_at_commit(world, before, my_chat_member=moved(member("left"), member("member")))
    async with world.gateway():
        await world.says(joined())
        await world.settle()
    assert world.telegram.texts() == [joined()]


async def test_a_group_that_was_upgraded_is_no_new_one(world: World) -> None:
    async with world.gateway():
        await world.talk(group(None, chat=-5, migrate_to_chat_id=-1005))
        world.telegram.put_raw(my_chat_member=moved(member("left"), member("member"), chat=-1005))
        await world.talk(group("автобус", chat=-1005))
        await world.says("эхо: автобус", chat=-1005)


async def test_who_is_not_served_gets_no_greeting(world: World) -> None:
    world.configure(owner_only=True, owner_ids=frozenset({1}))
    async with world.gateway():
        world.telegram.put_raw(my_chat_member=moved(member("left"), member("member")))
        await world.talk(group("автобус", sender=person(1)))
        await world.says("эхо: автобус")


@asynccontextmanager
async def in_privacy_mode(world: World) -> AsyncIterator[None]:
    """A gateway whose bot gets by BotFather's setting no more of groups than is for it."""
    world.telegram.fault = instead("getMe", {**SELF, "can_read_all_group_messages": False})
    world.telegram.administrators.add(7)
    async with world.gateway():
        await world.until(lambda: world.running.metric("polls_total", outcome="ok") > 0)
        yield


async def test_privacy_mode_may_be_switched_off_meanwhile(world: World) -> None:
    async with in_privacy_mode(world):
        world.telegram.fault = None
        assert await world.ask(group("/insanity on")) == [TEXTS.insanity_on]


@pytest.mark.parametrize(("bot_is", "is_warned"), [("member", True), ("administrator", False)])
async def test_in_privacy_mode_it_says_what_to_do(
    world: World, bot_is: str, is_warned: bool
) -> None:
    if bot_is == "administrator":
        world.telegram.administrators.add(BOT_ID)
    asked = ("/insanity on", "/chattiness 20", "/settings", "/help")
    async with in_privacy_mode(world):
        warned = await world.ask(*map(group, asked))
        plain = await world.ask(group("/insanity off"), group("/chattiness 0"))
        world.telegram.put_raw(callback_query=press("insane:1"))
        await world.until(lambda: len(world.telegram.press_answers) == 1)
    assert [TEXTS.privacy_mode in text for text in warned] == [is_warned] * 4
    assert not any(TEXTS.privacy_mode in text for text in plain)
    assert world.telegram.press_answers[0].get("text") == (
        TEXTS.privacy_mode if is_warned else None
    )


@pytest.mark.parametrize(
    ("bot_is", "calls"), [("member", f"@{USERNAME}"), ("administrator", NAMES)]
)
async def test_in_privacy_mode_it_promises_no_names(world: World, bot_is: str, calls: str) -> None:
    async with in_privacy_mode(world):
        world.telegram.put_raw(my_chat_member=moved(member("left"), member(bot_is)))
        await world.says(joined(calls))
