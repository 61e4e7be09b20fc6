"""Who is addressed: the table."""

from typing import Any

import pytest

from services.gateway.addressing import is_called
from services.gateway.config import GatewayConfig
from services.gateway.decision import ChatSettings, Reason, View
from services.gateway.incoming import Identity, read_message
from services.gateway.policy import decide
from tests.services.gateway.telegram import (
    BOT_ID,
    USERNAME,
    another_bot,
    entity,
    group,
    person,
    private,
)

ME = Identity(BOT_ID, USERNAME, ("автобус", "автобусом", "Пётр Ильич", "bus"))
SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}
NOW = 1_800_000_000.0
CONFIG = GatewayConfig()
CALM, INSANE = View(), View(ChatSettings(insane=True))
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


def forwarded(message: dict[str, Any]) -> dict[str, Any]:
    origin = {"type": "user", "date": 1, "sender_user": person(8)}
    return {**message, "forward_origin": origin}


def elsewhere(sender: dict[str, Any]) -> dict[str, Any]:
    """What a message answers in another chat."""
    return {"origin": {"type": "user", "date": 1, "sender_user": sender}}


TABLE: list[tuple[str, dict[str, Any], View, Reason]] = [
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
    ("an administrator writes as the group", group("поехали", sender=another_bot(),
     sender_chat=GROUP), INSANE, Reason.INSANITY),
    ("a person writes as a channel", group("автобус", sender=another_bot(), sender_chat={
        "id": -200, "type": "channel", "title": "К"}), CALM, Reason.NAME),
    ("a post of the linked channel", group("автобус", sender_chat={"id": -200, "type": "channel",
     "title": "К"}, is_automatic_forward=True), INSANE, Reason.CHANNEL),
    ("somebody joined", group(None, new_chat_members=[person(8)]), INSANE, Reason.NO_TEXT),
    ("dice", group(None, dice={"emoji": "🎲", "value": 3}), INSANE, Reason.NO_TEXT),
    # words of others
    ("forwarded with the name", forwarded(group("автобус ушёл")), CALM, Reason.NOT_ADDRESSED),
    ("forwarded with a mention", forwarded(tagged("mention", f"@{USERNAME}", f"@{USERNAME}")),
     CALM, Reason.NOT_ADDRESSED),
    ("forwarded in private", forwarded(private("автобус ушёл")), CALM, Reason.PRIVATE),
    ("forwarded, insane", forwarded(group("новость")), INSANE, Reason.INSANITY),
    ("made by another bot inline", group("автобус", via_bot=another_bot()), CALM, Reason.VIA_BOT),
    ("made inline, insane", group("кот", via_bot=another_bot()), INSANE, Reason.VIA_BOT),
    ("made inline, in answer", answering(SELF, via_bot=another_bot()), CALM, Reason.REPLY),
    ("made inline, in private", private("кот", via_bot=another_bot()), CALM, Reason.PRIVATE),
    # answers across chats, quotes
    ("an answer to the bot in another chat", group("да", external_reply=elsewhere(SELF)), CALM,
     Reason.REPLY),
    ("an answer to another there", group("да", external_reply=elsewhere(person(8))), CALM,
     Reason.NOT_ADDRESSED),
    ("a quote of the bot", answering(SELF, quote={"text": "раньше", "position": 0}), CALM,
     Reason.REPLY),
    ("a quote of another", answering(person(8), quote={"text": "автобус", "position": 0}), CALM,
     Reason.NOT_ADDRESSED),
    ("a mention in a topic", {**tagged("mention", f"@{USERNAME} эй", f"@{USERNAME}"),
     "is_topic_message": True, "message_thread_id": 5}, CALM, Reason.MENTION),
    ("a name in another case", group("с автобусом веселее"), CALM, Reason.NAME),
    ("a channel", {**group("новость"), "chat": {"id": -3, "type": "channel"}}, INSANE,
     Reason.CHANNEL),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "view", "reason"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE]
)
def test_who_is_addressed(raw: dict[str, Any], view: View, reason: Reason) -> None:
    assert decide(read_message(raw, NOW), ME, view, CONFIG, NOW) is reason


def test_names_are_no_patterns() -> None:
    assert is_called(("a.b",), "это a.b!")
    assert not is_called(("a.b",), "это axb!")
