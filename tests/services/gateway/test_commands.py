"""Commands: what they do, who may give them, what they answer."""

import asyncio
from typing import Any

import pytest

from contracts.forget import read
from contracts.settings import FORGET_FILE
from services.gateway.command_handlers import REPORTS_AN_HOUR, read_span
from services.gateway.commands import COMMANDS, For
from services.gateway.config import read_hours
from tests.services.gateway.conftest import CONFIG, TEXTS, World, candidate
from tests.services.gateway.telegram import BOT_ID, USERNAME, another_bot, group, person, private

SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}
OWNER = 1


def said(text: str, message_id: int = 500_001, **more: Any) -> dict[str, Any]:
    """A message of the bot's that somebody answers."""
    chat = {"id": -100, "type": "supergroup", "title": "Салон"}
    return {"message_id": message_id, "date": 1, "chat": chat, "from": SELF, "text": text, **more}


async def ask(world: World, *messages: dict[str, Any]) -> list[str]:
    """What the bot says to messages, each of which it answers with one."""
    before = len(world.telegram.sent)
    for number, message in enumerate(messages, 1):
        world.telegram.put(message)
        await world.until(lambda wanted=before + number: len(world.telegram.sent) >= wanted)  # type: ignore[misc]
    return world.telegram.texts()[before:]


async def test_insanity_is_switched_told_and_survives_a_restart(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway():
        world.telegram.put(group("/insanity"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    async with world.gateway():
        world.telegram.put(group("сам с собой говорю"))
        await world.until(lambda: len(world.telegram.sent) == 2)
        world.telegram.put(group("/insanity@avtobus_bot"))
        await world.until(lambda: len(world.telegram.sent) == 3)
    async with world.gateway():
        await world.talk(group("теперь тихо"))
        await world.settle()
    assert world.telegram.texts() == [
        TEXTS.insanity_on,
        "эхо: сам с собой говорю",
        TEXTS.insanity_off,
    ]


async def test_insanity_on_and_off_by_word(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway():
        for word in ("on", "вкл", "OFF", "off", "maybe"):
            await ask(world, group(f"/insanity {word}"))
    unclear = TEXTS.unclear.replace("{example}", "/insanity on")
    on, off = TEXTS.insanity_on, TEXTS.insanity_off
    assert world.telegram.texts() == [on, on, off, off, unclear]


async def test_insanity_means_nothing_where_all_is_answered_anyway(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("/insanity"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == [TEXTS.insanity_private]


async def test_insanity_is_that_chats_alone(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway():
        world.telegram.put(group("/insanity", chat=-1), group("а тут?", chat=-2))
        await world.until(lambda: len(world.telegram.sent) == 1)
        await world.settle()
    assert world.telegram.texts(-2) == []


async def test_in_groups_only_administrators_switch_insanity(world: World) -> None:
    async with world.gateway():
        world.telegram.put(group("/insanity"), group("и что?"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        await world.settle()
    assert world.telegram.texts() == [TEXTS.insanity_refused]


async def test_an_anonymous_administrator_switches_insanity(world: World) -> None:
    chat = {"id": -100, "type": "supergroup", "title": "Салон"}
    async with world.gateway():
        world.telegram.put(group("/insanity", sender_chat=chat, sender=another_bot()))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == [TEXTS.insanity_on]


async def test_insanity_is_that_topics_alone_where_it_has_settings_of_its_own(world: World) -> None:
    world.telegram.administrators = {7}
    fifth: dict[str, Any] = {"is_topic_message": True, "message_thread_id": 5}
    async with world.gateway():
        await ask(world, group("/insanity", **fifth), group("тут?", **fifth))
        await world.talk(group("а в общем?"))
        await world.settle()
    assert len(world.telegram.sent) == 2


async def test_chattiness_is_set_and_refused_when_it_is_none(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway():
        told = await ask(world, group("/chattiness 100"), group("ну"), group("/chattiness много"))
    assert told[0] == "Вступаю в разговор сам примерно в 100 % случаев."
    assert told[1] == "эхо: ну"
    assert "/chattiness 15" in told[2]


async def test_mute_keeps_quiet_until_its_time_is_over(world: World) -> None:
    async with world.gateway() as running:
        [told] = await ask(world, private("/mute 30m"))
        assert "15.01 11:30" in told
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("decisions_total", reason="muted") == 1)
        world.clock.advance(1801)
        assert await ask(world, private("ой")) == ["эхо: ой"]
        await ask(world, private("/mute"), private("/unmute"))
        assert await ask(world, private("ау")) == ["эхо: ау"]


async def test_quiet_hours_are_set_and_taken_back(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway() as running:
        await ask(world, group("/insanity"), group("/quiet 10:30-12"))
        world.telegram.put(group("ну"))
        await world.until(lambda: running.metric("decisions_total", reason="quiet_hours") == 1)
        assert await ask(world, group("/quiet off"), group("ну")) == [
            TEXTS.quiet_off,
            "эхо: ну",
        ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2h", 7200), ("1 д", 86_400), ("15", 900), ("0", None), ("час", None)],
)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize(
    ("text", "hours"),
    [("23-8", (1380, 480)), ("22:30–7:15", (1350, 435)), ("24-8", None), ("8-8", None),
     ("8", None), ("8:77-9", None)],
)  # fmt: skip
def test_hours_of_the_day(text: str, hours: tuple[int, int] | None) -> None:
    assert read_hours(text) == hours


async def test_reset_forgets_the_conversation(world: World) -> None:
    async with world.gateway():
        await ask(world, private("раз"), private("/reset"), private("два"))
    turns = world.generation.requests[-1].turns
    assert [list(turn.messages) for turn in turns] == [["два"]]


async def test_what_is_deleted_is_not_said_again(world: World) -> None:
    world.telegram.administrators = {7}
    world.generation.candidates = [candidate("едем в депо"), candidate("едем в парк")]
    async with world.gateway():
        await ask(world, group("автобус, куда?"))
        told = await ask(world, group("/delete", reply_to_message=said("едем в депо")))
        assert await ask(world, group("автобус, куда?")) == ["едем в парк"]
    assert told == [TEXTS.deleted]
    await world.until(lambda: world.telegram.deleted == [500_001])
    turns = [list(turn.messages) for turn in world.generation.requests[-1].turns]
    assert ["едем в депо"] not in turns


async def test_what_was_planned_before_it_was_denied_is_not_sent(world: World) -> None:
    world.generation.candidates = [candidate("едем в депо")]
    async with world.gateway() as running:
        await ask(world, private("/delete", reply_to_message=said("едем в депо")))
        world.generation.candidates = [candidate("Едем в депо!"), candidate("едем в депо")]
        world.telegram.put(private("куда?"))
        await world.until(lambda: running.metric("replies_total", outcome="nothing") == 1)
    assert world.telegram.texts() == [TEXTS.deleted]


@pytest.mark.parametrize("command", ["/delete", "/report"])
async def test_a_command_that_wants_an_answer_says_so(world: World, command: str) -> None:
    async with world.gateway():
        assert await ask(world, private(command)) == [TEXTS.answer_me]


async def test_a_report_reaches_the_owner_without_its_reporter(world: World) -> None:
    world.config = CONFIG.model_copy(update={"owner_ids": frozenset({OWNER})})
    async with world.gateway():
        world.telegram.put(group("/report", reply_to_message=said("грубость")))
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts(-100) == [TEXTS.reported]
    [report] = world.telegram.texts(OWNER)
    assert "грубость" in report
    assert "Салон" in report
    assert "Нина" not in report


async def test_forgetme_deletes_here_and_tells_extraction(world: World) -> None:
    async with world.gateway():
        await ask(world, group("автобус, я тут"), group("и я автобус", sender=person(8)))
        told = await ask(world, private("/forgetme"), group("автобус?", sender=person(8)))
    assert told == [TEXTS.forgotten, "эхо: автобус?"]
    said_to_the_model = str(world.generation.requests[-1].turns)
    assert "я тут" not in said_to_the_model.replace("эхо: автобус, я тут", "")
    assert "и я автобус" in said_to_the_model
    assert world.settings.forget_dir
    [entry] = read(world.settings.forget_dir / FORGET_FILE)
    assert (entry.user_id, entry.names) == (7, ("Нина",))
    data = world.settings.database.read_bytes()
    assert "и я автобус".encode() in data
    assert "автобус, я тут".encode() not in data.replace("эхо: автобус, я тут".encode(), b"")


async def test_what_is_written_after_forgetme_is_answered(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("/forgetme"), private("ты тут?"))
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == [TEXTS.forgotten, "эхо: ты тут?"]


async def test_an_answer_under_way_to_somebody_who_is_forgotten_is_not_sent(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway() as running:
        world.telegram.put(group("автобус, тайна"))
        await world.until(lambda: len(world.generation.requests) == 1)
        world.telegram.put(private("/forgetme"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.generation.hold.set()
        await world.until(lambda: running.metric("replies_total", outcome="candidate") == 1)
        await world.settle()
    assert world.telegram.texts() == [TEXTS.forgotten]


async def test_a_strangers_word_takes_nothing_from_the_others(world: World) -> None:
    world.generation.candidates = [candidate("едем в депо")]
    async with world.gateway():
        await ask(world, private("/delete", reply_to_message=said("едем в депо")))
        assert await ask(world, group("автобус, куда?", sender=person(8))) == ["едем в депо"]


async def test_reports_are_few_and_none_without_an_owner(world: World) -> None:
    message = private("/report", reply_to_message=said("грубость"))
    async with world.gateway():
        assert await ask(world, message) == [TEXTS.unheard]
    world.config = CONFIG.model_copy(update={"owner_ids": frozenset({OWNER})})
    async with world.gateway():
        for number in range(REPORTS_AN_HOUR):
            world.telegram.put({**message, "message_id": 900 + number})
            await world.until(lambda n=number: len(world.telegram.texts(OWNER)) == n + 1)  # type: ignore[misc]
        await world.until(lambda: world.telegram.texts(7).count(TEXTS.reported) == REPORTS_AN_HOUR)
        assert await ask(world, {**message, "message_id": 999}) == [TEXTS.unheard]


async def test_privacy_says_what_is_kept(world: World) -> None:
    async with world.gateway():
        [told] = await ask(world, private("/privacy"))
    assert "30 дней" in told
    assert "подражаю" in told


async def test_the_imitated_person_silences_the_bot_and_the_owner_lifts_it(world: World) -> None:
    ids = {"owner_ids": frozenset({OWNER}), "persona_user_id": 7}
    world.config = CONFIG.model_copy(update=ids)
    async with world.gateway() as running:
        assert await ask(world, private("/optout")) == [TEXTS.opted_out]
        world.telegram.put(private("эй", 8), private("/optin"), private("/optout", 8))
        await world.until(lambda: running.metric("decisions_total", reason="opted_out") == 1)
        assert await ask(world, private("/optin", OWNER)) == [TEXTS.opted_in]
        assert await ask(world, private("эй", 8)) == ["эхо: эй"]


async def test_the_owner_asks_how_it_is(world: World) -> None:
    world.config = CONFIG.model_copy(update={"owner_ids": frozenset({OWNER})})
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="ok") > 0)
        await ask(world, private("эй"))
        world.telegram.put(private("/status"))  # not the owner
        [told] = await ask(world, private("/status", OWNER))
    assert "версия модели toy/1" in told
    assert "0 с назад" in told


async def test_telegrams_menu_shows_each_what_they_may(world: World) -> None:
    async with world.gateway() as running:
        await world.until(lambda: running.metric("polls_total", outcome="ok") > 0)
    menus = world.telegram.menus
    everyone = {name for name, entry in COMMANDS.items() if entry.who is For.EVERYONE}
    assert set(menus["all_group_chats"]) <= everyone
    assert "settings" in menus["all_chat_administrators"]
    assert "settings" not in menus["all_private_chats"]
    assert not {"optin", "optout", "status"} & {name for menu in menus.values() for name in menu}
