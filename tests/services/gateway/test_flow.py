"""A message in, an answer out."""

import asyncio

import pytest
from aiohttp import ClientSession

from protos.generation.v1 import generation_pb2 as pb
from services.gateway.ask import DRAWS
from tests.services.gateway.conftest import TEXTS, World, candidate
from tests.services.gateway.telegram import as_json, entity, group, only, person, private


async def test_a_private_message_is_answered_without_a_quote(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put(private("Долго ещё?"))
        await world.until(lambda: running.metric("messages_sent_total") == 1)
    [sent] = world.telegram.sent
    assert sent["text"] == "эхо: Долго ещё?"
    assert "reply_parameters" not in sent
    assert world.telegram.actions[0]["action"] == "typing"


async def test_an_answer_stays_in_its_topic(world: World) -> None:
    async with world.gateway():
        world.telegram.put(group("Автобус, едем?", is_topic_message=True, message_thread_id=33))
        await world.until(lambda: len(world.telegram.sent) == 1)
    [sent] = world.telegram.sent
    assert sent["message_thread_id"] == "33"
    assert "reply_parameters" not in sent
    assert world.telegram.actions[0]["message_thread_id"] == "33"


async def test_a_message_is_quoted_when_others_have_written_since(world: World) -> None:
    message, other = group("Автобус, едем?"), group("а я нет", sender=person(8))
    world.telegram.fault = only("sendMessage", -100, 429, "Too Many Requests", retry_after=1)
    async with world.gateway() as running:
        world.telegram.put(message, other)
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        await world.until(lambda: running.metric("decisions_total", reason="not_addressed") == 1)
        world.telegram.fault = None
        await world.until(lambda: len(world.telegram.sent) == 1, step=1)
    assert as_json(world.telegram.sent[0]["reply_parameters"]) == {
        "message_id": message["message_id"],
        "allow_sending_without_reply": True,
    }


async def test_a_message_is_quoted_when_another_waits_to_be_read(world: World) -> None:
    world.generation.hold = asyncio.Event()
    async with world.gateway() as running:
        await world.talk(group("Автобус, едем?"))
        await world.until(lambda: len(world.generation.requests) == 1)
        await world.talk(group("а я нет", sender=person(8)))
        await world.until(lambda: running.metric("updates_taken_total") == 2)
        world.generation.hold.set()
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert "reply_parameters" in world.telegram.sent[0]


async def test_the_request_holds_the_history_and_no_chat_id(world: World) -> None:
    async with world.gateway() as running:
        world.telegram.put(group("едем в парк", chat=-100777), group("ага", chat=-100777))
        world.telegram.put(group("Автобус, ты где?", chat=-100777))
        await world.until(lambda: running.metric("messages_sent_total") == 1)
        world.telegram.put(group("водитель!", chat=-100777))
        await world.until(lambda: running.metric("messages_sent_total") == 2)
    request = world.generation.requests[-1]
    assert [(turn.role, list(turn.messages)) for turn in request.turns] == [
        (pb.ROLE_OTHER, ["едем в парк", "ага", "Автобус, ты где?"]),
        (pb.ROLE_PERSONA, ["эхо: Автобус, ты где?"]),
        (pb.ROLE_OTHER, ["водитель!"]),
    ]
    assert request.candidates == 2
    assert "100777" not in str(request)
    assert request.chat_key == world.generation.requests[0].chat_key


async def test_a_topics_talk_stays_in_the_topic(world: World) -> None:
    async with world.gateway():
        for topic, text in ((5, "автобус, из пятой"), (6, "автобус, из шестой")):
            world.telegram.put(group(text, is_topic_message=True, message_thread_id=topic))
        await world.until(lambda: len(world.telegram.sent) == 2)
    turns = world.generation.requests[1].turns
    assert [list(turn.messages) for turn in turns] == [["автобус, из шестой"]]


async def test_a_reply_of_several_messages_goes_out_in_parts(world: World) -> None:
    world.generation.candidates = [candidate("раз", "два", "три")]
    message = group("Автобус, считай")
    async with world.gateway() as running:
        world.telegram.put(message)
        await world.until(lambda: running.metric("messages_sent_total") == 3)
    assert world.telegram.texts() == ["раз", "два", "три"]


async def test_a_blank_reply_is_drawn_again(world: World) -> None:
    world.generation.candidates = [candidate(), candidate(" ")]
    async with world.gateway() as running:
        world.telegram.put(private("скажи"))
        await world.until(lambda: running.metric("replies_total", outcome="nothing") == 1)
        assert len(world.generation.requests) == DRAWS
        assert world.telegram.sent == []
        world.generation.candidates = [candidate(), candidate("вот")]
        world.telegram.put(private("скажи"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == ["вот"]


async def test_generation_does_not_hear_the_bots_own_username(world: World) -> None:
    text = "@Avtobus_bot, едем? @avtobus_bottle"
    async with world.gateway():
        world.telegram.put(group(text, entities=[entity("mention", text, "@Avtobus_bot")]))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.generation.requests[0].turns[0].messages == ["едем? @avtobus_bottle"]


@pytest.mark.parametrize(("command", "text"), [("/start", TEXTS.start), ("/help", TEXTS.help)])
async def test_the_bot_introduces_itself_as_a_bot(world: World, command: str, text: str) -> None:
    async with world.gateway():
        world.telegram.put(private(command))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == [text]
    assert "бот" in text
    assert world.generation.requests == []


async def test_introductions_are_no_part_of_the_history(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("/start"), private("привет"))
        await world.until(lambda: len(world.telegram.sent) == 2)
    [request] = world.generation.requests
    assert [list(turn.messages) for turn in request.turns] == [["привет"]]


async def test_mentions_after_emoji_are_seen(world: World) -> None:
    text = "🚌🚌 привет @Avtobus_Bot!"
    async with world.gateway():
        world.telegram.put(group(text, entities=[entity("mention", text, "@Avtobus_Bot")]))
        await world.until(lambda: len(world.telegram.sent) == 1)


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
