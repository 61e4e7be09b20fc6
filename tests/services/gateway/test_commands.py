"""Commands that need more than a conversation to show what they do."""

import asyncio
import re
from typing import Any

import pytest

from contracts.forget import read
from contracts.settings import FORGET_FILE
from services.gateway.command_handlers import REPORTS_AN_HOUR
from services.gateway.command_table import COMMANDS, For
from services.gateway.flow import Flow
from services.gateway.incoming import Message
from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import FIRST_SENT, group, own, person, private
from tests.services.sandbox.faults import Fault

OWNER = 1
OWNED: dict[str, Any] = {"owner_ids": frozenset({OWNER})}


async def test_insanity_survives_a_restart(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        await world.ask(group("/insanity"))
    async with world.gateway():
        await world.ask(group("сам с собой"), group("/insanity@avtobus_bot"))
    async with world.gateway():
        await world.talk(group("теперь тихо"))
        await world.settle()
    await world.says(TEXTS.insanity_on, "эхо: сам с собой", TEXTS.insanity_off)


async def test_mute_keeps_quiet_until_its_time_is_over(world: World) -> None:
    async with world.gateway():
        [text] = await world.ask(private("/mute 30m"))
        assert "15.01 11:30" in text
        world.telegram.put(private("эй"))
        await world.counts("decisions_total", reason="muted")
        world.clock.advance(1801)
        assert await world.ask(private("ой")) == ["эхо: ой"]
        await world.ask(private("/mute"), private("/unmute"))
        assert await world.ask(private("ау")) == ["эхо: ау"]


async def test_reset_forgets_the_conversation(world: World) -> None:
    async with world.gateway():
        await world.ask(private("раз"), private("/reset"), private("два"))
    assert world.generation.heard() == [["два"]]


async def test_what_is_deleted_is_not_said_again(world: World) -> None:
    world.telegram.administrators.add(7)
    world.generation.candidates = [candidate("едем в депо"), candidate("едем в парк")]
    delete = group("/delete", reply_to_message=own("едем в депо"))
    async with world.gateway():
        texts = await world.ask(group("автобус, куда?"), delete, group("автобус, куда?"))
    assert texts == ["едем в депо", TEXTS.deleted, "едем в парк"]
    assert [each["message_id"] for each in world.telegram.deletions] == [str(FIRST_SENT)]
    assert ["едем в депо"] not in world.generation.heard()


async def test_what_was_planned_before_it_was_denied_is_not_sent(world: World) -> None:
    async with world.gateway():
        await world.ask(private("/delete", reply_to_message=own("едем в депо")))
        world.generation.candidates = [candidate("Едем в депо!"), candidate("едем в депо")]
        world.telegram.put(private("куда?"))
        await world.counts("replies_total", outcome="nothing")
    assert world.telegram.texts() == [TEXTS.deleted]


async def test_a_report_reaches_the_owner_without_its_reporter(world: World) -> None:
    world.configure(**OWNED)
    async with world.gateway():
        world.telegram.put(group("/report", reply_to_message=own("грубость")))
        await world.says(TEXTS.reported, chat=-100)
    [report] = world.telegram.texts(OWNER)
    assert "грубость" in report
    assert "Салон" in report
    assert "Нина" not in report


async def test_forgetme_deletes_here_and_tells_extraction(world: World) -> None:
    async with world.gateway():
        await world.ask(group("автобус, я тут"), group("и я автобус", sender=person(8)))
        texts = await world.ask(private("/forgetme"), group("автобус?", sender=person(8)))
    assert texts == [TEXTS.forgotten, "эхо: автобус?"]
    assert world.settings.forget_dir
    [entry] = read(world.settings.forget_dir / FORGET_FILE)
    assert (entry.user_id, entry.names) == (7, ("Нина",))
    stored = world.settings.database.read_bytes().decode(errors="replace")
    for kept in (str(world.generation.heard()), stored):
        assert "и я автобус" in kept
        assert "я тут" not in kept.replace("эхо: автобус, я тут", "")


async def test_an_answer_under_way_to_somebody_who_is_forgotten_is_not_sent(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(group("автобус, тайна"))
        await world.asks_generation()
        await world.ask(private("/forgetme"))
        world.generation.hold.set()
        await world.counts("replies_total", outcome="candidate")
        await world.settle()
    assert world.telegram.texts() == [TEXTS.forgotten]


async def test_what_is_forgotten_while_it_is_sent_is_not_planned_again(world: World) -> None:
    world.telegram.fault = Fault(kind="hold", method="sendMessage", chat=-100, seconds=0.3)
    async with world.gateway():
        world.telegram.put(group("автобус, тайна"))
        await world.until(lambda: "sendMessage" in world.telegram.calls)
        await world.ask(private("/forgetme"))
        await world.counts("outbox_size", 0)
    assert world.telegram.texts() == [TEXTS.forgotten]


async def test_who_is_forgotten_while_heard_is_not_kept(world: World) -> None:
    real, reached, may = Flow._decide, asyncio.Event(), asyncio.Event()

    async def decide(self: Flow, update_id: int, message: Message) -> object:
        if message.chat < 0:
            reached.set()
            await may.wait()
        return await real(self, update_id, message)

    world.patch.setattr(Flow, "_decide", decide)
    async with world.gateway():
        world.telegram.put(group("автобус, тайна"))
        await world.until(reached.is_set)
        await world.ask(private("/forgetme"))
        may.set()
        await world.settle()
    assert world.telegram.texts() == [TEXTS.forgotten]
    assert "тайна".encode() not in world.settings.database.read_bytes()


async def test_reports_are_few_and_none_without_an_owner(world: World) -> None:
    message = private("/report", reply_to_message=own("грубость"))
    async with world.gateway():
        assert await world.ask(message) == [TEXTS.ownerless]
    world.configure(**OWNED)
    async with world.gateway():
        reports = [{**message, "message_id": 900 + number} for number in range(REPORTS_AN_HOUR)]
        world.telegram.put(*reports)
        await world.says(TEXTS.ownerless, *[TEXTS.reported] * REPORTS_AN_HOUR, chat=7)
        assert len(world.telegram.texts(OWNER)) == REPORTS_AN_HOUR
        assert await world.ask({**message, "message_id": 999}) == [TEXTS.unheard]


async def test_the_imitated_person_silences_the_bot_and_the_owner_lifts_it(world: World) -> None:
    world.configure(**OWNED, persona_user_id=7)
    async with world.gateway():
        assert await world.ask(private("/optout")) == [TEXTS.opted_out]
        world.telegram.put(private("эй", 8), private("/optin"), private("/optout", 8))
        await world.counts("decisions_total", reason="opted_out")
        assert await world.ask(private("/optin", OWNER)) == [TEXTS.opted_in]
        assert await world.ask(private("эй", 8)) == ["эхо: эй"]


async def test_privacy_and_the_owners_status_say_how_it_is(world: World) -> None:
    world.configure(**OWNED)
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="ok") > 0)
        await world.ask(private("эй"))
        world.telegram.put(private("/status"))  # not the owner
        [privacy, status] = await world.ask(private("/privacy"), private("/status", OWNER))
    for text, part in (
        *((privacy, "30 дн."), (privacy, "подражаю")),
        *((status, "версия модели toy/1"), (status, "0 с назад")),
    ):
        assert part in text


async def test_telegrams_menu_shows_each_what_they_may(world: World) -> None:
    async with world.gateway():
        await world.until(lambda: len(world.telegram.menus) == 3)
    assert world.telegram.menus == {
        "all_private_chats": {"help", "reset", "privacy", "forgetme"},
        "all_group_chats": {"help", "report"},
        "all_chat_administrators": {"help", "insanity", "report", "settings"},
    }


@pytest.mark.parametrize("name", ["help", "help_admin"])
def test_help_names_every_command_and_none_that_is_not(name: str) -> None:
    open_to = {"help": {For.EVERYONE}, "help_admin": {For.ADMINISTRATORS}}[name]
    named = set(re.findall(r"/(\w+)", getattr(TEXTS, name)))
    wanted = {each for each, entry in COMMANDS.items() if entry.who in open_to}
    assert wanted - {"start", "help"} <= named <= set(COMMANDS)
