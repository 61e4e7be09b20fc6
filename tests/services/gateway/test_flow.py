"""A message in, an answer out."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from aiohttp import ClientSession

from protos.generation.v1 import generation_pb2 as pb
from services.gateway.ask_generation import DRAWS
from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import entity, group, person, private, topic


@pytest.mark.parametrize(
    ("message", "thread"), [(private("Долго ещё?"), None), (group("Автобус?", **topic(33)), "33")]
)
async def test_an_answer_stays_in_its_place_without_a_quote(
    world: World, message: dict[str, Any], thread: str | None
) -> None:
    async with world.gateway():
        await world.ask(message)
    [sent], [action, *_] = world.telegram.sent, world.telegram.actions
    assert sent["text"] == f"эхо: {message['text']}"
    assert "reply_parameters" not in sent
    assert action["action"] == "typing"
    assert sent.get("message_thread_id") == action.get("message_thread_id") == thread


async def test_a_message_is_quoted_when_others_have_written_since(world: World) -> None:
    message = group("Автобус, едем?")
    async with world.gateway():
        await world.slow_down(message, 1)
        world.telegram.put(group("а я нет", sender=person(8)))
        await world.counts("decisions_total", reason="not_addressed")
        await world.says("эхо: Автобус, едем?", step=1)
    assert world.telegram.sent[0]["reply_parameters"] == {
        "message_id": message["message_id"],
        "allow_sending_without_reply": True,
    }


async def test_a_message_is_quoted_when_another_waits_to_be_read(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway():
        world.telegram.put(group("Автобус, едем?"))
        await world.asks_generation()
        world.telegram.put(group("а я нет", sender=person(8)))
        await world.counts("updates_taken_total", 2)
        world.generation.hold.set()
        await world.says("эхо: Автобус, едем?")
    assert "reply_parameters" in world.telegram.sent[0]


async def test_the_request_holds_the_history_and_no_chat_id(world: World) -> None:
    async with world.gateway():
        world.telegram.put(group("едем в парк", chat=-100777), group("ага", chat=-100777))
        for text in ("Автобус, ты где?", "водитель!"):
            await world.ask(group(text, chat=-100777))
    first, request = world.generation.requests
    assert [(turn.role, list(turn.messages)) for turn in request.turns] == [
        (pb.ROLE_OTHER, ["едем в парк", "ага", "Автобус, ты где?"]),
        (pb.ROLE_PERSONA, ["эхо: Автобус, ты где?"]),
        (pb.ROLE_OTHER, ["водитель!"]),
    ]
    assert request.candidates == 2
    assert "100777" not in str(request)
    assert request.chat_key == first.chat_key


async def test_a_topics_talk_stays_in_the_topic(world: World) -> None:
    async with world.gateway():
        await world.ask(group("автобус, из пятой", **topic(5)), group("автобус?", **topic(6)))
    assert world.generation.heard() == [["автобус?"]]


async def test_a_blank_reply_is_drawn_again(world: World) -> None:
    world.generation.candidates = [candidate(), candidate(" "), candidate("\u2800", "\u200b")]
    async with world.gateway():
        world.telegram.put(private("скажи"))
        await world.counts("replies_total", outcome="nothing")
        assert len(world.generation.requests) == DRAWS
        world.generation.candidates = [candidate(), candidate("вот")]
        assert await world.ask(private("скажи")) == ["вот"]


async def test_generation_does_not_hear_the_bots_own_username(world: World) -> None:
    text = "@Avtobus_bot, едем? @avtobus_bottle"
    async with world.gateway():
        await world.ask(group(text, entities=[entity("mention", text, "@Avtobus_bot")]))
    assert world.generation.heard() == [["едем? @avtobus_bottle"]]


async def test_the_bot_introduces_itself_as_a_bot_and_not_to_the_model(world: World) -> None:
    async with world.gateway():
        texts = await world.ask(private("/start"), private("/help"), private("привет"))
    assert texts == [TEXTS.start, TEXTS.help, "эхо: привет"]
    assert all("бот" in text for text in texts[:2])
    assert len(world.generation.requests) == 1
    assert world.generation.heard() == [["привет"]]


async def test_health_is_served_beside_the_metrics(world: World) -> None:
    async with world.gateway() as running, ClientSession() as http:
        base = f"http://127.0.0.1:{running.port}"
        await world.until(lambda: running.metric("polls_total", outcome="ok") > 0)
        for path, word in (("healthz", "ok"), ("readyz", "ok"), ("metrics", "persona_gateway_")):
            async with http.get(f"{base}/{path}") as answer:
                assert answer.status == 200
                assert word in await answer.text()
        assert running.metric("last_successful_poll_timestamp_seconds") == world.clock.now()
        assert running.metric("reads_all_group_messages") == 1


async def test_what_is_written_after_a_crash_is_answered_after_what_was_written_before(
    world: World,
) -> None:
    world.generation.hold = asyncio.Event()
    running = await world.start()
    world.telegram.put(*(group(f"автобус, {n}", sender=person(n)) for n in (1, 2)))
    await world.asks_generation()
    await running.kill()
    with closing(sqlite3.connect(world.settings.database)) as database, database:
        database.execute("UPDATE updates SET crashes = 1 WHERE state = 'new'")
    async with world.gateway():
        await world.asks_generation(2)
        await world.talk(group("автобус, 3", sender=person(3)))
        await world.settle()
        world.generation.hold.set()
        await world.says("эхо: автобус, 1", "эхо: автобус, 2", "эхо: автобус, 3")
