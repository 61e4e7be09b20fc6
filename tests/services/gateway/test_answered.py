"""The words that somebody answers, quotes or comments are known to the model."""

import sqlite3
from contextlib import closing
from typing import Any

from tests.services.gateway.conftest import World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import (
    PHOTO,
    group,
    own,
    person,
    private,
    topic,
)
from tests.services.gateway.test_places import COMMENT, MENTION, POST, mention

WORDS = "Встречаемся у кассы"
SAID = group(WORDS, sender=person(8), message_id=200_020, date=1_799_000_000)
ASK = f"{MENTION} что скажешь?"
QUOTE = {"quote": {"text": "у кассы", "position": 12}}
ORIGIN = {"type": "user", "date": 1, "sender_user": person(8)}
HIDDEN = {"type": "hidden_user", "date": 1, "sender_user_name": "Нина"}
ANSWERED: list[tuple[str, dict[str, Any], list[list[str]]]] = [
    ("a message", mention(ASK, reply_to_message=SAID), [[WORDS], ["что скажешь?"]]),
    ("a caption", mention(ASK, reply_to_message={
        **SAID, "text": None, "caption": "закат", **PHOTO}), [["закат"], ["что скажешь?"]]),
    ("a part of a message", mention(ASK, reply_to_message=SAID, **QUOTE),
     [["у кассы"], ["что скажешь?"]]),
    ("a message in a topic", mention(ASK, **topic(5), reply_to_message={**SAID, **topic(5)}),
     [[WORDS], ["что скажешь?"]]),
    ("a topic's beginning is not answered",
     mention(ASK, **topic(200_020), reply_to_message={**SAID, **topic(200_020)}),
     [["что скажешь?"]]),
    ("in private", private("что скажешь?", reply_to_message={**private(WORDS), "date": 1}),
     [[WORDS, "что скажешь?"]]),
    ("what the bot said without the model",
     mention(ASK, reply_to_message=own("В пробке.")), [["В пробке."], ["что скажешь?"]]),
    ("a post", mention(ASK, message_thread_id=200_040, reply_to_message=POST),
     [["Новый маршрут"], ["что скажешь?"]]),
    ("a quote from another chat", mention(ASK, external_reply={"origin": ORIGIN}, **QUOTE),
     [["у кассы"], ["что скажешь?"]]),
    ("a quote of whom Telegram hides", mention(ASK, external_reply={"origin": HIDDEN}, **QUOTE),
     [["у кассы"], ["что скажешь?"]]),
    ("another chat's message without a quote", mention(ASK, external_reply={"origin": ORIGIN}),
     [["что скажешь?"]]),
    ("a bare mention", mention(reply_to_message=SAID), [[WORDS]]),
    ("a bare mention with a colon", mention(f"{MENTION}:", reply_to_message=SAID), [[WORDS]]),
    ("a bare mention under a post", mention(message_thread_id=200_040, reply_to_message=POST),
     [["Новый маршрут"]]),
    ("a bare mention under a mention", mention(reply_to_message=mention(f"{MENTION}, где ты?")),
     [["где ты?"]]),
    ("a bare mention alone", mention(), [["автобус"]]),
    ("a picture", mention(ASK, reply_to_message=group(None, sender=person(8), **PHOTO)),
     [["[фото]"], ["что скажешь?"]]),
    ("a command", mention(ASK, reply_to_message={**SAID, "text": "/weather"}), [["что скажешь?"]]),
    ("no visible sign", mention(ASK, reply_to_message=group("\u2800\u200b")), [["что скажешь?"]]),
]  # fmt: skip


@cases("message, heard", ANSWERED)
async def test_what_is_answered_is_known(
    world: World, message: dict[str, Any], heard: list[list[str]]
) -> None:
    world.generation.candidates = [candidate("так")]
    async with world.gateway():
        await world.ask(message)
    assert world.generation.heard() == heard


async def test_what_the_history_holds_is_not_told_twice(world: World) -> None:
    said = group(WORDS, sender=person(8))
    async with world.gateway():
        await world.talk(said, group("ага", sender=person(9)))
        await world.ask(mention(ASK, reply_to_message=said))
        assert world.generation.heard() == [["ага"], [WORDS], ["что скажешь?"]]
        await world.talk(*(group(f"{n}", sender=person(9)) for n in range(80)))
        await world.ask(mention(ASK, reply_to_message=said))
    assert world.generation.heard()[-2:] == [[WORDS], ["что скажешь?"]]
    assert sum(WORDS in turn for turn in world.generation.heard()) == 1


async def test_who_comments_a_comment_comments_the_post(world: World) -> None:
    first = group("ух ты", sender=person(9), message_thread_id=200_040, reply_to_message=POST)
    async with world.gateway():
        await world.talk(first, *(group(f"{n}", sender=person(9)) for n in range(80)))
        await world.ask(mention(ASK, message_thread_id=200_040, reply_to_message=COMMENT))
    assert world.generation.heard()[-3:] == [["Новый маршрут"], ["а когда?"], ["что скажешь?"]]


async def test_a_burst_knows_what_its_first_message_answers(world: World) -> None:
    world.configure(delays=1.0, burst_seconds=2.0)
    async with world.gateway():
        world.telegram.put(mention(reply_to_message=SAID), group("что скажешь?"))
        await world.says("эхо: что скажешь?", step=0.1)
    assert world.generation.heard() == [[WORDS], ["что скажешь?"]]


@cases(
    "config, ask_first",
    [("of a person who is not served", {"deny_users": frozenset({8})}, False),
     ("of a person who asked to be forgotten", {}, True)],
)  # fmt: skip
async def test_words_are_not_kept_because_somebody_quotes_them(
    world: World, config: dict[str, Any], ask_first: bool
) -> None:
    world.configure(**config)
    async with world.gateway():
        if ask_first:
            await world.ask(private("/forgetme", 8))
        await world.ask(mention(ASK, reply_to_message=SAID))
        assert world.generation.heard() == [["что скажешь?"]]
        with closing(sqlite3.connect(world.settings.database)) as database:
            assert not database.execute("SELECT 1 FROM turns WHERE reason = 'quoted'").fetchall()
    later = {**SAID, "message_id": 200_021, "date": 1_800_000_100}
    async with world.gateway():  # which has read the list anew
        for said in (SAID, later):
            await world.ask(mention(f"{MENTION} а это?", reply_to_message=said))
            assert (WORDS in str(world.generation.heard())) == (ask_first and said is later)


SERVED: dict[str, Any] = {"allow_users": frozenset({7})}
ELSEWHERE = {**QUOTE, "external_reply": {"origin": ORIGIN, "chat": {"id": -666}}}


@cases("config, message, known", [
    ("of a chat that is not served", {"deny_chats": frozenset({-666})}, ELSEWHERE, False),
    ("of another chat", {"deny_chats": frozenset({-665})}, ELSEWHERE, True),
    ("of who is not among those served", SERVED, {"reply_to_message": SAID}, False),
    ("of who is", SERVED, {"reply_to_message": {**SAID, "from": person(7)}}, True),
    ("of the bot", SERVED, {"reply_to_message": own(WORDS)}, True),
    ("of a post", SERVED, {"reply_to_message": {**POST, "text": WORDS}}, True),
])  # fmt: skip
async def test_only_words_of_those_served_are_kept(
    world: World, config: dict[str, Any], message: dict[str, Any], known: bool
) -> None:
    world.configure(**config)
    async with world.gateway():
        await world.ask(mention(ASK, **message))
    assert ("у кассы" in str(world.generation.heard())) == known


async def test_old_words_outlast_the_cleaning_of_old_messages(world: World) -> None:
    old = {**SAID, "date": 1}
    async with world.gateway():
        await world.talk(group("вот", reply_to_message=old))
    async with world.gateway():
        await world.rests()
        await world.ask(mention(ASK))
    assert world.generation.heard()[0] == [WORDS]


async def test_a_reset_forgets_what_was_quoted(world: World) -> None:
    async with world.gateway():
        await world.ask(mention(ASK, reply_to_message=SAID))
        world.telegram.administrators.add(7)
        await world.ask(group("/reset"), mention(ASK))
    assert world.generation.heard() == [["что скажешь?"]]


async def test_a_bare_mention_asks_about_what_it_answers_itself(world: World) -> None:
    earlier = group("пельмени", sender=person(9))
    async with world.gateway():
        await world.talk(group("куда едем?", sender=person(8), message_id=200_020), earlier)
        await world.talk(group("ага", reply_to_message=earlier))
        await world.ask(mention(reply_to_message={**SAID, "text": "куда едем?"}))
    assert world.generation.heard()[-1] == ["куда едем?"]
