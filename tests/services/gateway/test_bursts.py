"""Bursts: what a person says to the bot in a row, or while it could not answer, gets one answer."""

from typing import Any

import pytest

from services.gateway.decision import decide
from services.gateway.incoming import Identity, read_message
from services.gateway.reasons import ChatSettings, Reason, View
from services.gateway.typing_delay import without_pings
from tests.services.gateway.conftest import CONFIG, TEXTS, World, cases
from tests.services.gateway.telegram import (
    ALBUM,
    BOT_ID,
    another_bot,
    entity,
    group,
    own,
    person,
    private,
)

NOW = 1_800_000_000
VASYA = person(8)
STICKER: dict[str, Any] = {"sticker": {"file_id": "1", "file_unique_id": "1"}}
CHAIN: dict[str, Any] = {"message_thread_id": 40}
FORWARDED: dict[str, Any] = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Г"}}
OPENING = group("тема", forum_topic_created={"name": "т"}, sender=VASYA)
SALON, NEWS = {"id": -100, "type": "supergroup"}, {"id": -200, "type": "channel"}
POST = group("новость", sender=person(777000), is_automatic_forward=True)


def marked(text: str, part: str, kind: str = "mention", **more: Any) -> dict[str, Any]:
    return group(text, entities=[entity(kind, text, part, **more)])


def as_chat(text: str, chat: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message of somebody who writes as the group, or as a channel."""
    return group(text, sender=another_bot(), sender_chat=chat, **more)


def drawn(text: str, sender: dict[str, Any], is_chosen: bool) -> dict[str, Any]:
    """A message that a bot which answers half of what is said chooses, or does not."""
    me, view, now = Identity(BOT_ID, ""), View(ChatSettings(chattiness=50)), float(NOW)
    while True:
        message = group(text, sender=sender)
        reason = decide(read_message(message, now), me, view, CONFIG, now)
        if (reason is Reason.CHATTINESS) == is_chosen:
            return message


def echo(message: dict[str, Any]) -> str:
    return "эхо: " + without_pings(message["text"].removeprefix("@avtobus_bot "))


FOR_OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("an answer to another", group("да", reply_to_message=group("идёшь?", sender=VASYA))),
    ("an answer to another bot", group("да", reply_to_message=group("эй", sender=another_bot()))),
    ("an answer to another elsewhere",
     group("да", external_reply={"origin": {"type": "user", "sender_user": VASYA}})),
    ("an answer to a post elsewhere",
     group("да", external_reply={"origin": {"type": "channel", "chat": NEWS, "message_id": 3}})),
    ("an answer to somebody hidden elsewhere",
     group("да", external_reply={"origin": FORWARDED["forward_origin"]})),
    ("an answer to who writes as a channel", group("да", reply_to_message=as_chat("эй", NEWS))),
    ("an answer to an anonymous administrator",
     group("да", reply_to_message=as_chat("эй", SALON))),
    ("a mention of another bot", marked("а что скажет @polkson_bot?", "@polkson_bot")),
    ("a mention of another bot by its name",
     marked("а что скажет Полксон?", "Полксон", "text_mention", user=another_bot())),
    ("a call of another person", marked("@vasya глянь", "@vasya")),
    ("a call of somebody without a username",
     marked("Вася, глянь", "Вася", "text_mention", user=VASYA)),
    ("a forward", group("новость", **FORWARDED)),
    ("what another bot made", group("кот", via_bot=another_bot())),
    ("a command for another bot", group("/start@polkson_bot")),
]  # fmt: skip
FOR_THE_BOT: list[tuple[str, dict[str, Any]]] = [
    ("an answer to oneself", group("ну?", reply_to_message=group("автобус"))),
    ("an answer to the bot", group("ну?", reply_to_message=own("едем"))),
    ("a comment below a post", group("ну?", reply_to_message=POST)),
    ("an answer in a chain of replies", group("ну?", reply_to_message=own("едем"), **CHAIN)),
    ("an answer to oneself in a chain", group("ну?", reply_to_message=group("автобус"), **CHAIN)),
    ("a topic's message", group("ну?", reply_to_message=OPENING)),
    ("somebody's name", marked("а @vasya придёт?", "@vasya")),
    ("somebody's name, who has no username",
     marked("а Вася придёт?", "Вася", "text_mention", user=VASYA)),
    ("a call of both", marked("@avtobus_bot и @polkson_bot?", "@avtobus_bot")),
]  # fmt: skip


def at(seconds: int, message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "date": NOW - 7200 + seconds}


LATER: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("one answer in private",
     [at(40 * n, private(f"раз {n}")) for n in range(30)], ["эхо: раз 29"]),
    ("one answer to a person in a group", [
        at(0, group("автобус!")), at(60, group("Вась, ты тут?")), at(120, group("автобус?")),
        at(180, group("автобус, ау")), at(240, group("ладно"))], ["эхо: автобус, ау"]),
    ("one answer to each person in a group", [
        at(0, group("автобус!")), at(60, group("автобус, а я?", sender=VASYA)),
        at(120, group("автобус?"))], ["эхо: автобус, а я?", "эхо: автобус?"]),
    ("one answer in each chat", [
        at(0, group("автобус!")), at(60, private("эй")), at(120, private("ау")),
        at(180, group("автобус?"))], ["эхо: автобус?", "эхо: ау"]),
    ("commands are answered each", [
        at(0, private("эй")), at(60, private("/help")), at(120, private("/start")),
        at(180, private("ау"))], [TEXTS.help, TEXTS.start, "эхо: ау"]),
    ("pictures get one line", [
        at(0, private(None, **STICKER)), at(60, private(None, **STICKER))], ["Слов не вижу."]),
    ("words are answered, not the picture after them", [
        at(0, private(None, **STICKER)), at(60, private("эй")), at(120, private("ау")),
        at(180, private(None, **STICKER))], ["эхо: ау", "Слов не вижу."]),
]  # fmt: skip
BURSTS: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("a burst gets one answer", [private("слушай"), private("уже ушёл?")], ["эхо: уже ушёл?"]),
    ("a slash that is no command of ours is talk",
     [private("слушай"), private("/дом стоит"), private("/2 too")], ["эхо: /2 too"]),
    ("a command neither waits for what stands before it nor swallows it",
     [private("эй"), private("/help")], [TEXTS.help, "эхо: эй"]),
    ("who writes again a minute later does not go on",
     [group("автобус, когда отправление?", date=NOW - 90), group("пойду поем", date=NOW - 20)],
     ["эхо: автобус, когда отправление?"]),
    ("an album is answered by its words wherever they stand",
     [private(None, **ALBUM), private(None, caption="гляди", **ALBUM)], ["эхо: гляди"]),
    ("stickers in a row get one line", [private(None, **STICKER), private(None, **STICKER)],
     ["Слов не вижу."]),
    ("who calls in a chain of replies goes on outside of it",
     [group("а ты?", reply_to_message=own("едем"), **CHAIN), group("куда?")], ["эхо: куда?"]),
    ("who calls goes on after an answer in a chain of replies",
     [group("автобус"), group("а ты?", reply_to_message=own("едем"), **CHAIN), group("куда?")],
     ["эхо: куда?"]),
    ("a forward in private is for the bot",
     [private("гляди"), private("новость", **FORWARDED)], ["эхо: новость"]),
    *((f"{name} is no part of a burst", [group("автобус"), message], ["эхо: автобус"])
      for name, message in FOR_OTHERS),
    *((f"{name} stands in a burst", [group("автобус"), message, group("ты где?")],
       ["эхо: ты где?"]) for name, message in FOR_OTHERS),
    *((f"{name} is part of a burst", [group("автобус"), message],
       [echo(message)]) for name, message in FOR_THE_BOT),
    *(("who writes as a chat goes on in an answer to oneself",
       [as_chat("автобус", chat), as_chat("ну?", chat, reply_to_message=as_chat("автобус", chat))],
       ["эхо: ну?"]) for chat in (SALON, NEWS)),
    ("who writes as the group answers a channel", [as_chat("автобус", SALON),
     as_chat("ну?", SALON, reply_to_message=as_chat("эй", NEWS))], ["эхо: автобус"]),
    *((f"after a downtime: {name}", messages, texts) for name, messages, texts in LATER),
]  # fmt: skip


@cases("messages, texts", BURSTS)
async def test_what_is_written_in_a_row(
    world: World, messages: list[dict[str, Any]], texts: list[str]
) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, wordless=("Слов не вижу.",))
    async with world.gateway():
        world.telegram.put(*messages)
        await world.handled(step=0.1)
    assert sorted(world.telegram.texts()) == sorted(texts)


async def test_who_never_stops_is_answered_now_and_then(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0)
    async with world.gateway():
        for n in range(40):
            world.telegram.put(private(f"и {n}", date=NOW + n))
            await world.counts("updates_taken_total", n + 1)
            world.clock.advance(1)
        await world.handled(step=0.1)
    assert 1 < len(world.telegram.texts()) < 6
    assert world.telegram.texts()[-1] == "эхо: и 39"


@pytest.mark.parametrize("message", dict(FOR_OTHERS).values(), ids=dict(FOR_OTHERS))
async def test_an_insane_bot_hears_a_remark_before_what_is_for_others(
    world: World, message: dict[str, Any]
) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, insanity=True)
    async with world.gateway():
        world.telegram.put(group("люблю компот"), message)
        await world.handled(step=0.1)
    assert world.telegram.texts()[0] == "эхо: люблю компот"


async def test_what_goes_on_where_the_bot_wanted_to_talk_is_answered(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, chattiness=50, budget=3)
    async with world.gateway():
        for number in range(4):
            who = person(20 + number)
            world.telegram.put(drawn("раз", who, True), drawn("два", who, False))
            await world.handled(step=0.1)
    assert world.telegram.texts() == ["эхо: два"] * 3


async def test_a_burst_that_nobody_asked_about_counts_once_and_tells_of_no_limit(
    world: World,
) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, chattiness=100, hourly_limit=2)
    async with world.gateway():
        for number in range(4):
            world.telegram.put(group("раз"), group(f"два {number}"))
            await world.handled(step=0.1)
    assert world.telegram.texts() == ["эхо: два 0", "эхо: два 1"]


@pytest.mark.parametrize("minutes", [20, -20])
async def test_a_clock_that_is_wrong_by_minutes_silences_nobody(world: World, minutes: int) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, insanity=True)
    world.clock.jump(60 * minutes)
    async with world.gateway():
        world.telegram.put(group("автобус"), group("ты где?"), group("ау", sender=person(8)))
        await world.handled(step=0.1)
    assert world.telegram.texts() == ["эхо: ты где?", "эхо: ау"]


async def test_an_insane_bot_answers_each_person_once_after_a_downtime(world: World) -> None:
    world.configure(insanity=True)
    soon = [at(7200 - 900 + 60 * n, group(f"раз {n}", sender=person(20 + n % 2))) for n in range(8)]
    async with world.gateway():
        world.telegram.put(*soon)
        await world.handled()
    assert world.telegram.texts() == ["эхо: раз 6", "эхо: раз 7"]


async def test_without_a_pause_for_more_there_is_one_answer_after_a_downtime(world: World) -> None:
    async with world.gateway():
        world.telegram.put(*(at(5 * n, private(f"раз {n}")) for n in range(3)))
        await world.handled()
    assert world.telegram.texts() == ["эхо: раз 2"]


async def test_generation_gets_a_burst_as_one_turn(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0)
    async with world.gateway():
        world.telegram.put(private("слушай"), private("а автобус"), private("уже ушёл?"))
        await world.counts("decisions_total", 3, step=0.1, reason="private")
        await world.says("эхо: уже ушёл?", step=0.1)
    assert len(world.generation.requests) == 1
    assert world.generation.heard() == [["слушай", "а автобус", "уже ушёл?"]]


async def test_a_burst_in_a_group_is_answered_though_its_end_is_not_addressed(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0)
    async with world.gateway():
        world.telegram.put(group("автобус"), group("а я нет", sender=person(8)), group("ты где?"))
        await world.says("эхо: ты где?", step=0.1)
        await world.counts("decisions_total", reason="burst")
        world.telegram.put(group("это уже не тебе"))
        await world.counts("decisions_total", 2, reason="not_addressed")
    assert len(world.telegram.sent) == 1


async def test_bursts_that_nobody_asked_about_keep_to_the_budget(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0, budget=1, insanity=True)
    async with world.gateway():
        for sender in (person(20), person(21), person(22)):
            world.telegram.put(group("раз", sender=sender), group("два", sender=sender))
        await world.until(
            lambda: world.running.metric("decisions_total", reason="budget") >= 2, step=0.1
        )
        await world.settle()
    assert world.telegram.texts() == ["эхо: два"]
