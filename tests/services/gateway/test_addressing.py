"""Who is addressed: the table."""

from typing import Any

import pytest
from aiogram.types import Message

from services.gateway.addressing import ChatState, Identity, Reason, called_by, decide, topic_of
from tests.services.gateway.telegram import (
    BOT_ID,
    USERNAME,
    another_bot,
    entity,
    group,
    person,
    private,
)

ME = Identity(BOT_ID, USERNAME, ("автобус", "Пётр Ильич", "bus"))
SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}
DEPTH = 3
CALM, INSANE = ChatState(), ChatState(insane=True)
GROUP = {"id": -100, "type": "supergroup", "title": "Салон"}


def tagged(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    return group(text, entities=[entity(kind, text, part, **more)])


def captioned(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    return group(None, caption=text, caption_entities=[entity(kind, text, part, **more)])


def answering(target_sender: dict[str, Any], text: str = "да", **more: Any) -> dict[str, Any]:
    target = {"message_id": 50, "date": 1, "chat": GROUP, "from": target_sender, "text": "раньше"}
    return group(text, reply_to_message={**target, **more.pop("target", {})}, **more)


def commanded(text: str, **more: Any) -> dict[str, Any]:
    return group(text, entities=[entity("bot_command", text, text.split()[0])], **more)


def by_bot(text: str) -> dict[str, Any]:
    return group(text, sender=another_bot())


def row(count: int, insane: bool = True) -> ChatState:
    return ChatState(insane, count)


TABLE: list[tuple[str, dict[str, Any], ChatState, Reason]] = [
    # private chats
    ("private text", private("привет"), CALM, Reason.PRIVATE),
    ("private, insane", private("привет"), INSANE, Reason.PRIVATE),
    ("private caption", private(None, caption="смотри"), CALM, Reason.PRIVATE),
    ("private mention of another", private("@other глянь"), CALM, Reason.PRIVATE),
    ("private, a slash that is no command", private("/дом стоит"), CALM, Reason.PRIVATE),
    ("private, unknown command", private("/sing"), CALM, Reason.PRIVATE),
    ("private sticker", private(None), CALM, Reason.NO_TEXT),
    ("private blank", private("  \n "), CALM, Reason.NO_TEXT),
    ("private by another bot", {**private("эй"), "from": another_bot()}, CALM, Reason.PRIVATE),
    # mentions
    ("mention", tagged("mention", f"@{USERNAME} эй", f"@{USERNAME}"), CALM, Reason.MENTION),
    ("mention at the end", tagged("mention", f"эй @{USERNAME}", f"@{USERNAME}"), CALM,
     Reason.MENTION),
    ("mention, other case", tagged("mention", "эй @AVTOBUS_Bot", "@AVTOBUS_Bot"), CALM,
     Reason.MENTION),
    ("mention after an emoji", tagged("mention", f"🚌 @{USERNAME}", f"@{USERNAME}"), CALM,
     Reason.MENTION),
    ("mention after many emoji", tagged("mention", f"👨‍👩‍👧‍👦🚌🚌 @{USERNAME} 🚌", f"@{USERNAME}"),
     CALM, Reason.MENTION),
    ("mention of another", tagged("mention", "эй @other_bot", "@other_bot"), CALM,
     Reason.NOT_ADDRESSED),
    ("mention of a longer name", tagged("mention", f"@{USERNAME}2", f"@{USERNAME}2"), CALM,
     Reason.NOT_ADDRESSED),
    ("offsets in characters would miss", group("🚌🚌 @other_bot @avtobus_bot", entities=[
        {"type": "mention", "offset": 5, "length": 10}]), CALM, Reason.NOT_ADDRESSED),
    ("second of two mentions", group("@a_bot @avtobus_bot", entities=[
        {"type": "mention", "offset": 0, "length": 6},
        {"type": "mention", "offset": 7, "length": 12}]), CALM, Reason.MENTION),
    ("mention out of range", group("эй", entities=[
        {"type": "mention", "offset": 50, "length": 12}]), CALM, Reason.NOT_ADDRESSED),
    ("mention that cuts an emoji", group("🚌🚌", entities=[
        {"type": "mention", "offset": 1, "length": 2}]), CALM, Reason.NOT_ADDRESSED),
    ("username without an entity", group(f"пишите @{USERNAME}"), CALM, Reason.NOT_ADDRESSED),
    ("username as code", tagged("code", f"@{USERNAME}", f"@{USERNAME}"), CALM,
     Reason.NOT_ADDRESSED),
    ("mention in a caption", captioned("mention", f"🚌 @{USERNAME}", f"@{USERNAME}"), CALM,
     Reason.MENTION),
    ("another's mention in a caption", captioned("mention", "@other_bot", "@other_bot"), CALM,
     Reason.NOT_ADDRESSED),
    ("text mention", tagged("text_mention", "🚌 эй, ты", "ты", user=SELF), CALM,
     Reason.TEXT_MENTION),
    ("text mention in a caption", captioned("text_mention", "эй, ты", "ты", user=SELF), CALM,
     Reason.TEXT_MENTION),
    ("text mention of another", tagged("text_mention", "эй, ты", "ты", user=person(8)), CALM,
     Reason.NOT_ADDRESSED),
    # replies
    ("reply to the bot", answering(SELF), CALM, Reason.REPLY),
    ("reply to another", answering(person(8)), CALM, Reason.NOT_ADDRESSED),
    ("reply to another bot", answering(another_bot()), CALM, Reason.NOT_ADDRESSED),
    ("photo in reply, without caption", group(None, reply_to_message=answering(SELF)[
        "reply_to_message"]), CALM, Reason.NO_TEXT),
    ("reply in a topic", answering(SELF, is_topic_message=True, message_thread_id=33), CALM,
     Reason.REPLY),
    ("topic root of the bot's", answering(SELF, is_topic_message=True, message_thread_id=50), CALM,
     Reason.NOT_ADDRESSED),
    ("topic's creation by the bot", answering(SELF, target={
        "forum_topic_created": {"name": "т", "icon_color": 1}}), CALM, Reason.NOT_ADDRESSED),
    ("a chain of replies outside forums", answering(SELF, message_thread_id=50), CALM,
     Reason.REPLY),
    # names
    ("name", group("Автобус, ты где?"), CALM, Reason.NAME),
    ("name, capitals", group("ГДЕ АВТОБУС"), CALM, Reason.NAME),
    ("name between marks", group("ну(автобус)!"), CALM, Reason.NAME),
    ("name with a particle", group("автобус-то ушёл"), CALM, Reason.NAME),
    ("name of two words, ё for е", group("петр ильич, здравствуйте"), CALM, Reason.NAME),
    ("Latin name", group("hey Bus!"), CALM, Reason.NAME),
    ("name in a caption", group(None, caption="это автобус"), CALM, Reason.NAME),
    ("name inside a word", group("автобусный парк"), CALM, Reason.NOT_ADDRESSED),
    ("name at a word's end", group("микроавтобус"), CALM, Reason.NOT_ADDRESSED),
    ("name in a username", group("@bus сюда"), CALM, Reason.NOT_ADDRESSED),
    ("name in a snake", group("my_bus_stop"), CALM, Reason.NOT_ADDRESSED),
    ("name in a path", group("сайт.рф/bus"), CALM, Reason.NOT_ADDRESSED),
    ("no name", group("поехали"), CALM, Reason.NOT_ADDRESSED),
    # commands
    ("command", commanded("/start"), CALM, Reason.COMMAND),
    ("command in private", private("/help"), CALM, Reason.COMMAND),
    ("command with the bot's name", commanded(f"/insanity@{USERNAME}"), CALM, Reason.COMMAND),
    ("command, other case", commanded("/Help@Avtobus_BOT"), CALM, Reason.COMMAND),
    ("command with words", commanded("/insanity пожалуйста"), CALM, Reason.COMMAND),
    ("another's command", commanded("/start@other_bot"), CALM, Reason.FOREIGN_COMMAND),
    ("another's command, insane", commanded("/start@other_bot"), INSANE, Reason.FOREIGN_COMMAND),
    ("another's command in private", private("/start@other_bot"), CALM, Reason.FOREIGN_COMMAND),
    ("unknown command in a group", commanded("/sing"), INSANE, Reason.FOREIGN_COMMAND),
    ("command inside the text", group("напишите /start"), CALM, Reason.NOT_ADDRESSED),
    ("command in a caption", group(None, caption="/start"), CALM, Reason.NOT_ADDRESSED),
    ("a longer word", commanded("/starting"), CALM, Reason.FOREIGN_COMMAND),
    ("command by a bot", by_bot("/insanity"), INSANE, Reason.BOTS_COMMAND),
    ("command by an anonymous administrator", group("/insanity", sender=another_bot(),
     sender_chat=GROUP), CALM, Reason.COMMAND),
    # insanity and other bots
    ("insane", group("поехали"), INSANE, Reason.INSANITY),
    ("insane, named", group("автобус"), INSANE, Reason.NAME),
    ("insane, sticker", group(None), INSANE, Reason.NO_TEXT),
    ("insane, own message", group("сам", sender=SELF), INSANE, Reason.OWN),
    ("insane, a bot's first", by_bot("раз"), row(0), Reason.INSANITY),
    ("insane, a bot's third", by_bot("три"), row(2), Reason.INSANITY),
    ("insane, a bot's fourth", by_bot("четыре"), row(3), Reason.BOT_DEPTH),
    ("insane, a bot's ninth", by_bot("девять"), row(8), Reason.BOT_DEPTH),
    ("a person after many bots", group("хватит"), row(9), Reason.INSANITY),
    ("a channel's post after many bots", group("пост", sender=another_bot(), sender_chat={
        "id": -200, "type": "channel", "title": "К"}), row(9), Reason.INSANITY),
    ("a bot names the bot", by_bot("автобус!"), row(2, insane=False), Reason.NAME),
    ("a bot names the bot too often", by_bot("автобус!"), row(3, insane=False), Reason.BOT_DEPTH),
    ("a bot replies too often", answering(SELF, sender=another_bot()), row(3), Reason.BOT_DEPTH),
    ("a bot unaddressed", by_bot("о своём"), row(0, insane=False), Reason.NOT_ADDRESSED),
    ("a channel", {**group("новость"), "chat": {"id": -3, "type": "channel"}}, INSANE,
     Reason.CHANNEL),
]  # fmt: skip


def test_the_table_is_long_enough() -> None:
    assert len(TABLE) >= 60
    assert {reason for *_, reason in TABLE} == set(Reason)


@pytest.mark.parametrize(
    ("raw", "state", "reason"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE]
)
def test_who_is_addressed(raw: dict[str, Any], state: ChatState, reason: Reason) -> None:
    decision = decide(Message.model_validate(raw), ME, state, DEPTH)
    assert decision.reason is reason
    quiet = list(Reason).index(reason) >= list(Reason).index(Reason.OWN)
    assert decision.speaks is not quiet


def test_a_command_carries_its_name() -> None:
    message = Message.model_validate(commanded(f"/HELP@{USERNAME}"))
    assert decide(message, ME, CALM, DEPTH).command == "help"


def test_a_depth_of_none_answers_no_bot() -> None:
    assert decide(Message.model_validate(by_bot("эй")), ME, INSANE, 0).reason is Reason.BOT_DEPTH


@pytest.mark.parametrize(
    ("more", "topic"),
    [
        ({}, 0),
        ({"message_thread_id": 5}, 0),
        ({"message_thread_id": 5, "is_topic_message": True}, 5),
    ],
)
def test_only_forums_have_topics(more: dict[str, Any], topic: int) -> None:
    assert topic_of(Message.model_validate(group("эй", **more))) == topic


def test_names_are_no_patterns() -> None:
    assert called_by(("a.b",), "это a.b!")
    assert not called_by(("a.b",), "это axb!")
