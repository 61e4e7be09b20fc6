"""An answer belongs to its place: topics, comments, threads, direct messages to a channel."""

from typing import Any

import grpc

from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import (
    BOT,
    FIRST_SENT,
    entity,
    group,
    own,
    person,
    private,
    topic,
)

CHANNEL = {"id": -1002, "type": "channel", "title": "Депо"}
POST = group("Новый маршрут", sender_chat=CHANNEL, is_automatic_forward=True, message_id=200_040)
COMMENT = group("а когда?", sender=person(8), message_id=200_044, message_thread_id=200_040)
MENTION = "@avtobus_bot"


def direct(number: int, text: str, **more: Any) -> dict[str, Any]:
    """A direct message to a channel, of the person whose topic has that number."""
    chat = {"id": -1007, "type": "supergroup", "is_direct_messages": True}
    whose = {"direct_messages_topic": {"topic_id": number, "user": person(number)}}
    return {**group(text, sender=person(number)), "chat": chat, **whose, **more}


def mention(text: str = MENTION, **more: Any) -> dict[str, Any]:
    """A message that mentions the bot."""
    return group(text, entities=[entity("mention", text, MENTION)], **more)


PLACES: list[tuple[str, dict[str, Any], dict[str, Any], tuple[bool, bool]]] = [
    ("a private chat", private("эй"), {}, (False, False)),
    ("a private chat's topic", private("эй", **topic(5)), {"message_thread_id": "5"},
     (False, False)),
    ("a group", group("автобус"), {}, (False, False)),
    ("a forum's topic", group("автобус", **topic(5)), {"message_thread_id": "5"}, (False, False)),
    ("a comment on a post", group("автобус", message_thread_id=200_040, reply_to_message=POST), {},
     (True, True)),
    ("a comment on a comment",
     group("автобус", message_thread_id=200_040, reply_to_message=COMMENT), {}, (True, True)),
    ("a chain of replies", group("да", message_thread_id=FIRST_SENT, reply_to_message=own("едем")),
     {}, (False, False)),
    ("direct messages to a channel", direct(71, "автобус"), {"direct_messages_topic_id": "71"},
     (False, False)),
    ("direct messages of whom Telegram does not name",
     direct(71, "автобус", direct_messages_topic={"topic_id": "семь"}),
     {"direct_messages_topic_id": "71"}, (False, False)),
]  # fmt: skip


@cases("message, place, quotes", PLACES)
async def test_both_parts_of_an_answer_land_where_the_question_was(
    world: World, message: dict[str, Any], place: dict[str, Any], quotes: tuple[bool, bool]
) -> None:
    world.generation.candidates = [candidate("раз", "два")]
    async with world.gateway():
        world.telegram.put(message)
        await world.says("раз", "два")
    names = ("message_thread_id", "direct_messages_topic_id")
    for sent, is_quoting in zip(world.telegram.sent, quotes, strict=True):
        assert {name: sent[name] for name in names if name in sent} == place
        quoted = sent.get("reply_parameters", {}).get("message_id")
        assert quoted == (message["message_id"] if is_quoting else None)


@cases(
    "message, quoted",
    [
        ("in a group it quotes", group("/help"), True),
        ("in direct messages", direct(71, "/help"), True),
        ("in comments", group("/help", message_thread_id=200_040), True),
        ("in private it does not", private("/help"), False),
    ],
)
async def test_the_answer_to_a_command_lands_there_as_well(
    world: World, message: dict[str, Any], quoted: bool
) -> None:
    async with world.gateway():
        await world.ask(message)
    [sent] = world.telegram.sent
    assert sent["text"] == TEXTS.help
    assert ("reply_parameters" in sent) == quoted
    whose = message.get("direct_messages_topic", {}).get("topic_id")
    assert sent.get("direct_messages_topic_id") == (str(whose) if whose else None)


async def test_of_several_parts_the_first_alone_quotes(world: World) -> None:
    message = group("Автобус, едем?")
    world.generation.candidates = [candidate("раз", "два")]
    async with world.gateway():
        await world.slow_down(message, 1)
        world.telegram.put(group("а я нет", sender=person(8)))
        await world.counts("decisions_total", reason="not_addressed")
        await world.says("раз", "два", step=1)
    first, second = world.telegram.sent
    assert first["reply_parameters"]["message_id"] == message["message_id"]
    assert "reply_parameters" not in second


async def test_one_persons_direct_messages_are_no_part_of_anothers_prompt(world: World) -> None:
    async with world.gateway():
        await world.ask(direct(71, "автобус, только тебе"), direct(72, "автобус, кто писал?"))
        assert world.generation.heard() == [["автобус, кто писал?"]]
        await world.ask(direct(71, "автобус, а я?"))
        assert world.generation.heard()[0] == ["автобус, только тебе"]
        unknown = [direct(each, "автобус!", direct_messages_topic=None) for each in (73, 74)]
        await world.ask(*unknown)
        assert world.generation.heard() == [["автобус!"]]


async def test_each_person_with_direct_messages_hears_of_an_outage(world: World) -> None:
    world.generation.code = grpc.StatusCode.UNAVAILABLE
    async with world.gateway():
        for times in (1, 2):
            world.telegram.put(*(direct(each, "автобус!") for each in (71, 72)))
            await world.counts("replies_total", 2 * times, step=1, outcome="unavailable")
        await world.handled()
    told = [each["direct_messages_topic_id"] for each in world.telegram.sent]
    assert sorted(told) == ["71", "72"]


@cases(
    "comments, answered",
    [("two calls", [(40, "автобус, эй"), (50, "автобус, ау")], [0, 1]),
     ("a remark", [(40, "автобус, эй"), (50, "ну и погода"), (40, "как ты?")], [2])],
)  # fmt: skip
async def test_a_burst_is_of_one_post(
    world: World, comments: list[tuple[int, str]], answered: list[int]
) -> None:
    world.configure(delays=1.0, burst_seconds=2.0)
    messages = [
        group(text, message_thread_id=post, reply_to_message={**POST, "message_id": post})
        for post, text in comments
    ]
    async with world.gateway():
        world.telegram.put(*messages)
        await world.handled(step=0.1)
    quoted = [each["reply_parameters"]["message_id"] for each in world.telegram.sent]
    assert quoted == [messages[each]["message_id"] for each in answered]


async def test_in_direct_messages_no_typing_is_shown(world: World) -> None:
    """Telegram takes none there, and their topic is no thread."""
    world.configure(delays=1.0, typing_speed=5.0)
    async with world.gateway():
        world.telegram.put(direct(71, "автобус, привет"))
        await world.says("эхо: автобус, привет", step=0.1)
    assert world.telegram.actions == []


@cases(
    "message, answer",
    [
        ("below a post", group("автобус", message_thread_id=200_040, reply_to_message=POST), None),
        ("a command there", group("/help", message_thread_id=200_040, reply_to_message=POST), None),
        (
            "a command in a chain of replies",
            group("/help", message_thread_id=FIRST_SENT, reply_to_message=own("едем")),
            TEXTS.help,
        ),
        ("a command elsewhere", group("/help"), TEXTS.help),
        ("a command in a topic", group("/help", **topic(5)), TEXTS.help),
    ],
)
async def test_the_answer_to_a_deleted_question_does_not_leave_its_place(
    world: World, message: dict[str, Any], answer: str | None
) -> None:
    """Below a post it is given up, as without a quote it would land in the main chat."""
    world.telegram.world.room_of_bot(-100, BOT).deleted.add(message["message_id"])
    async with world.gateway() as running:
        world.telegram.put(message)
        await world.handled()
        assert running.metric("messages_failed_total", code="400") == (answer is None)
    assert world.telegram.texts() == ([answer] if answer else [])
