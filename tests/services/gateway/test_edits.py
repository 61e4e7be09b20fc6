"""An edit is an edit: what is answered is a call that its words did not hold before, once."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.telegram import SELF, entity, group, own, person, private, topic
from tests.services.gateway.test_faults import fail

ADMINISTRATOR = 7
MUTED = TEXTS.muted.replace("{until}", "15.01 12:00")
Step = tuple[Any, ...]
"""An update, and the texts that answer it."""


def new(message: dict[str, Any]) -> dict[str, Any]:
    return {"message": message}


def edit(message: dict[str, Any], after: int = 60, **changes: Any) -> dict[str, Any]:
    """Telegram tells of an edit, without `changes` of a reaction, a preview or a pin."""
    return {"edited_message": {**message, "edit_date": message["date"] + after, **changes}}


HI, PLAIN, PRIVATE = group("автобус, привет"), group("едем в парк"), private("привет")
CALLED = "едем в парк, автобус?"
MENTIONING = "едем в парк @avtobus_bot"
MENTION: dict[str, Any] = {
    "text": MENTIONING,
    "entities": [entity("mention", MENTIONING, "@avtobus_bot")],
}
STICKER = group(None, sticker={"file_id": "1", "file_unique_id": "1"})
TO_BOT: dict[str, Any] = {"reply_to_message": own("едем?")}
REPLY = group("да", **TO_BOT)
FORUM = group("едем в парк", **topic(5))
CASES: list[tuple[str, list[Step], dict[str, Any]]] = [
    ("a reaction", [(new(HI), "эхо: автобус, привет"), (edit(HI),), (edit(HI),)], {}),
    ("a reaction in private", [(new(PRIVATE), "эхо: привет"), (edit(PRIVATE),)], {}),
    ("other words in private", [(new(PRIVATE), "эхо: привет"), (edit(PRIVATE, text="ау"),)], {}),
    ("a reaction to what the history lost", [
        (new(HI), "эхо: автобус, привет"), (new(group("/reset")), TEXTS.reset), (edit(HI),)], {}),
    ("other words of what the history lost", [
        (new(PLAIN),), (new(group("/reset")), TEXTS.reset), (edit(PLAIN, text=CALLED),)], {}),
    ("words of somebody forgotten", [
        (new(PLAIN),), (new(private("/forgetme")), TEXTS.forgotten), (edit(PLAIN, text=CALLED),)],
     {}),
    ("a message from before the bot came", [(edit(PLAIN, text=CALLED),)], {}),
    ("words below what had none", [(new(STICKER),), (edit(STICKER, caption=CALLED),)], {}),
    ("an answer to the bot", [(new(REPLY), "эхо: да"), (edit(REPLY, text="нет"),)], {}),
    ("a name that was not there", [
        (new(PLAIN),), (edit(PLAIN, text=CALLED), f"эхо: {CALLED}"), (edit(PLAIN, text=CALLED),),
        (edit(PLAIN, text=f"{CALLED}!"),)], {}),
    ("a mention that was not there",
     [(new(PLAIN),), (edit(PLAIN, **MENTION), "эхо: едем в парк"), (edit(PLAIN, **MENTION),)], {}),
    ("a name in a topic",
     [(new(FORUM),), (edit(FORUM, text=CALLED), f"эхо: {CALLED}"), (edit(FORUM),)], {}),
    ("a name in an old message", [(new(PLAIN),), (edit(PLAIN, 86_400, text=CALLED),)], {}),
    ("muted when it came", [
        (new(group("/mute")), MUTED), (new(HI),), (new(group("/unmute")), TEXTS.unmuted),
        (edit(HI),), (edit(HI, text=CALLED),)], {}),
    ("muted when the name came", [
        (new(PLAIN),), (new(group("/mute")), MUTED), (edit(PLAIN, text=CALLED),),
        (new(group("/unmute")), TEXTS.unmuted), (edit(PLAIN, text=CALLED),)], {}),
    ("silenced when it came", [
        (new(private("/optout")), TEXTS.opted_out), (new(HI),),
        (new(private("/optin")), TEXTS.opted_in), (edit(HI, text=CALLED),)],
     {"persona_user_id": 7, "owner_ids": {7}}),
    ("quiet when it came", [
        (new(PLAIN),), (new(group("/quiet off")), TEXTS.quiet_off), (edit(PLAIN),),
        (edit(PLAIN, text=CALLED),)], {"insanity": True, "quiet": (10 * 60, 12 * 60)}),
    ("no unasked answers left when it came", [
        (new(PLAIN),), (edit(PLAIN, text=CALLED),)], {"insanity": True, "budget": 0}),
    ("no answers left when the name came", [
        (new(PRIVATE), "эхо: привет"), (new(PLAIN),), (edit(PLAIN, text=CALLED), TEXTS.limited),
        (edit(PLAIN, text=CALLED),)], {"hourly_limit": 1}),
]  # fmt: skip


@cases("steps, config", CASES)
async def test_what_an_edit_calls_forth(
    world: World, steps: list[Step], config: dict[str, Any]
) -> None:
    world.configure(**config)
    world.telegram.administrators.add(ADMINISTRATOR)
    expected = list[str]()
    async with world.gateway():
        for update, *texts in steps:
            world.telegram.put_raw(**update)
            expected += texts
            await world.handled()
            assert world.telegram.texts() == expected


async def test_no_edit_calls_again_for_what_was_answered_with_what_follows(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, insanity=True)
    async with world.gateway():
        world.telegram.put(PLAIN, group("кто со мной?"))
        await world.handled(step=0.1)
        world.telegram.put_raw(**edit(PLAIN, text=CALLED))
        await world.handled(step=0.1)
    assert world.telegram.texts() == ["эхо: кто со мной?"]


@pytest.mark.parametrize("message", [HI, PLAIN])
@pytest.mark.parametrize(
    "order",
    [group("/mute"), group("/insanity off"), group("/quiet 8-20"), group("/delete", **TO_BOT)],
)
async def test_no_edit_brings_back_an_answer_that_was_ended(
    world: World, message: dict[str, Any], order: dict[str, Any]
) -> None:
    world.configure(insanity=True)
    world.telegram.administrators.add(ADMINISTRATOR)
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(message)
        await world.asks_generation()
        await world.ask(order)
        is_ended = order["text"] in ("/mute", "/delete") or message is PLAIN
        if not is_ended:
            world.generation.hold.set()
        await world.handled()
        said = await world.ask(group("/unmute"))
        with closing(sqlite3.connect(world.settings.database)) as db:
            [(reason,)] = db.execute("SELECT reason FROM turns WHERE role = 'other'")
        assert (reason == "silenced") is is_ended
        world.generation.hold.set()
        world.telegram.put_raw(**edit(message, text=CALLED))
        await world.handled()
    assert world.telegram.texts()[-1:] == said


async def test_an_edit_brings_nothing_into_the_history(world: World) -> None:
    world.telegram.administrators.add(ADMINISTRATOR)
    meeting, lunch = group("встретимся у парка", sender=person(8)), group("а я обедаю")
    async with world.gateway():
        await world.talk(meeting)
        await world.ask(group("/reset"))
        world.telegram.put_raw(**edit(meeting, text="встретимся у парка!"))
        await world.talk(lunch)
        world.telegram.put_raw(**edit(lunch, text="а я ужинаю"))
        await world.ask(group("автобус, где все?"))
    assert world.generation.heard() == [["а я ужинаю", "автобус, где все?"]]


async def test_an_edit_whose_first_attempts_fail_is_answered_once(world: World) -> None:
    fail(world.patch, "history.read_basis", 2)
    async with world.gateway():
        await world.talk(PLAIN)
        world.telegram.put_raw(**edit(PLAIN, text=CALLED))
        world.telegram.put_raw(**edit(PLAIN, text=CALLED))
        await world.handled(step=1)
    assert world.telegram.texts() == [f"эхо: {CALLED}"]


CODED = group("едем, автобус", entities=[entity("code", "едем, автобус", "автобус")])
QUOTED = group("автобус!\nвот", entities=[entity("blockquote", "автобус!\nвот", "автобус!")])
UNMARKED: dict[str, Any] = {"entities": []}
SAME_WORDS: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("a word that is code no more", CODED, UNMARKED, []),
    ("a quote that is none any more", QUOTED, UNMARKED, []),
    ("a name that becomes code no more, and a word", CODED,
     {**UNMARKED, "text": "едем уже, автобус"}, ["эхо: едем уже, автобус"]),
    ("a person's name that links to the bot now", PLAIN, {
        "entities": [entity("text_mention", "едем в парк", "парк", user=SELF)]},
     ["эхо: едем в парк"]),
]  # fmt: skip


@cases("message, changes, texts", SAME_WORDS)
async def test_an_edit_that_changes_no_words_calls_nobody(
    world: World, message: dict[str, Any], changes: dict[str, Any], texts: list[str]
) -> None:
    async with world.gateway():
        await world.talk(message)
        world.telegram.put_raw(**edit(message, **changes))
        await world.handled()
    assert world.telegram.texts() == texts
