"""Who is addressed: the table."""

from typing import Any

from services.gateway.bot_config import GatewayConfig
from services.gateway.decision import decide
from services.gateway.incoming import Identity, read_message
from services.gateway.names import is_called
from services.gateway.reasons import ChatSettings, Reason, View
from tests.services.gateway.conftest import cases
from tests.services.gateway.telegram import (
    BOT_ID,
    SELF,
    USERNAME,
    another_bot,
    entity,
    group,
    person,
    private,
    topic,
)

ME = Identity(BOT_ID, USERNAME, ("автобус", "автобусом", "Пётр Ильич", "bus"))
NOW = 1_800_000_000.0
CONFIG = GatewayConfig()
CALM, INSANE = View(), View(ChatSettings(insane=True))
GROUP = {"id": -100, "type": "supergroup", "title": "Салон"}
TOPIC_CREATED = {"forum_topic_created": {"name": "т", "icon_color": 1}}
CHANNEL = {"id": -200, "type": "channel", "title": "К"}
Case = tuple[str, dict[str, Any], Reason]


def tagged(kind: str, text: str, part: str = f"@{USERNAME}", **more: Any) -> dict[str, Any]:
    return group(text, entities=[entity(kind, text, part, **more)])


def captioned(kind: str, text: str, part: str = f"@{USERNAME}", **more: Any) -> dict[str, Any]:
    return group(None, caption=text, caption_entities=[entity(kind, text, part, **more)])


def marked(text: str, *mentions: tuple[int, int]) -> dict[str, Any]:
    """A text with mentions at those offsets and of those lengths."""
    places = [{"offset": offset, "length": length} for offset, length in mentions]
    return group(text, entities=[{"type": "mention", **place} for place in places])


def answering(answered: dict[str, Any], text: str = "да", **more: Any) -> dict[str, Any]:
    target = group("раньше", sender=answered, message_id=50, date=1) | more.pop("target", {})
    return group(text, reply_to_message=target, **more)


def commanded(text: str) -> dict[str, Any]:
    return tagged("bot_command", text, text.split()[0])


def as_group(text: str) -> dict[str, Any]:
    """A message of an anonymous administrator."""
    return group(text, sender=another_bot(), sender_chat=GROUP)


def forwarded(message: dict[str, Any]) -> dict[str, Any]:
    origin = {"type": "user", "date": 1, "sender_user": person(8)}
    return {**message, "forward_origin": origin}


def elsewhere(sender: dict[str, Any]) -> dict[str, Any]:
    """What a message answers in another chat."""
    return {"origin": {"type": "user", "date": 1, "sender_user": sender}}


CALM_CASES: list[Case] = [
    # private chats
    ("private text", private("привет"), Reason.PRIVATE),
    ("private caption", private(None, caption="смотри"), Reason.PRIVATE),
    ("private mention of another", private("@other глянь"), Reason.PRIVATE),
    ("private, a slash that is no command", private("/дом стоит"), Reason.PRIVATE),
    ("private, unknown command", private("/sing"), Reason.COMMAND),
    ("private, unknown command with words", private("/sing a song"), Reason.COMMAND),
    ("unknown command with the bot's name", commanded(f"/sing@{USERNAME}"), Reason.COMMAND),
    ("the bot's name before the command", group(f"@{USERNAME} /help"), Reason.COMMAND),
    ("another's name before the command", group("@other_bot /help"), Reason.FOREIGN_COMMAND),
    ("private service message", private(None, pinned_message={}), Reason.NO_TEXT),
    ("private blank", private("  \n "), Reason.NO_TEXT),
    ("private, no visible sign", private("\u3164\u200b"), Reason.NO_TEXT),
    ("private caption, no visible sign", private(None, caption="\u2800"), Reason.WORDLESS),
    ("a reply without a visible sign", answering(SELF, "\u200d\ufe0f"), Reason.NO_TEXT),
    ("private by another bot", {**private("эй"), "from": another_bot()}, Reason.PRIVATE),
    # mentions
    ("mention", tagged("mention", f"@{USERNAME} эй"), Reason.MENTION),
    ("mention at the end", tagged("mention", f"эй @{USERNAME}"), Reason.MENTION),
    ("mention, other case", tagged("mention", "эй @AVTOBUS_Bot", "@AVTOBUS_Bot"), Reason.MENTION),
    ("mention after an emoji", tagged("mention", f"🚌 @{USERNAME}"), Reason.MENTION),
    ("mention after many emoji", tagged("mention", f"👨‍👩‍👧‍👦🚌🚌 @{USERNAME} 🚌"), Reason.MENTION),
    ("second of two mentions", marked("@a_bot @avtobus_bot", (0, 6), (7, 12)), Reason.MENTION),
    ("mention in a caption", captioned("mention", f"🚌 @{USERNAME}"), Reason.MENTION),
    ("text mention", tagged("text_mention", "🚌 эй, ты", "ты", user=SELF), Reason.TEXT_MENTION),
    ("text mention in a caption", captioned("text_mention", "эй, ты", "ты", user=SELF),
     Reason.TEXT_MENTION),
    # replies
    ("reply to the bot", answering(SELF), Reason.REPLY),
    ("photo in reply, without caption", {**answering(SELF), "text": ""}, Reason.WORDLESS),
    ("reply that tells of another", answering(SELF, "скажи @other_bot",
     entities=[entity("mention", "скажи @other_bot", "@other_bot")]), Reason.REPLY),
    ("reply that asks another and the bot", answering(SELF, f"@other_bot @{USERNAME}",
     entities=[entity("mention", f"@other_bot @{USERNAME}", each)
               for each in ("@other_bot", f"@{USERNAME}")]), Reason.MENTION),
    ("reply in a topic", answering(SELF, **topic(33)), Reason.REPLY),
    ("a chain of replies outside forums", answering(SELF, message_thread_id=50), Reason.REPLY),
    # names
    ("name", group("Автобус, ты где?"), Reason.NAME),
    ("name, capitals", group("ГДЕ АВТОБУС"), Reason.NAME),
    ("name between marks", group("ну(автобус)!"), Reason.NAME),
    ("name with a particle", group("автобус-то ушёл"), Reason.NAME),
    ("name of two words, ё for е", group("петр ильич, здравствуйте"), Reason.NAME),
    ("Latin name", group("hey Bus!"), Reason.NAME),
    ("name in a caption", group(None, caption="это автобус"), Reason.NAME),
    # commands
    ("command", commanded("/start"), Reason.COMMAND),
    ("command in private", private("/help"), Reason.COMMAND),
    ("command with the bot's name", commanded(f"/insanity@{USERNAME}"), Reason.COMMAND),
    ("command, other case", commanded("/Help@Avtobus_BOT"), Reason.COMMAND),
    ("command with words", commanded("/insanity пожалуйста"), Reason.COMMAND),
    ("another's command", commanded("/start@other_bot"), Reason.FOREIGN_COMMAND),
    ("another's command in private", private("/start@other_bot"), Reason.COMMAND),
    ("a longer word", commanded("/starting"), Reason.FOREIGN_COMMAND),
    ("command by an anonymous administrator", as_group("/insanity"), Reason.COMMAND),
    ("command below another bot's words", answering(another_bot(), "/delete"),
     Reason.FOREIGN_COMMAND),
    ("the bot's command below another bot's words",
     answering(another_bot(), f"/delete@{USERNAME}"), Reason.COMMAND),
    ("command below an anonymous administrator's words",
     answering(another_bot(), "/help", target={"sender_chat": GROUP}), Reason.COMMAND),
    ("command in a topic that another bot opened",
     answering(another_bot(), "/help", **topic(50)), Reason.COMMAND),
    # insanity and other bots
    ("a person writes as a channel", group("автобус", sender_chat=CHANNEL, sender=another_bot()),
     Reason.NAME),
    # words of others
    ("forwarded in private", forwarded(private("автобус ушёл")), Reason.PRIVATE),
    ("made by another bot inline", group("автобус", via_bot=another_bot()), Reason.VIA_BOT),
    ("made inline, in answer", answering(SELF, via_bot=another_bot()), Reason.REPLY),
    ("made inline, in private", private("кот", via_bot=another_bot()), Reason.PRIVATE),
    # answers across chats, quotes
    ("an answer to the bot in another chat", group("да", external_reply=elsewhere(SELF)),
     Reason.REPLY),
    ("a quote of the bot", answering(SELF, quote={"text": "раньше", "position": 0}), Reason.REPLY),
    ("a mention in a topic", {**tagged("mention", f"@{USERNAME}"), **topic(5)}, Reason.MENTION),
    ("a name in another case", group("с автобусом веселее"), Reason.NAME),
]  # fmt: skip
NOT_FOR_THE_BOT: list[tuple[str, dict[str, Any]]] = [
    # mentions
    ("mention of another", tagged("mention", "эй @other_bot", "@other_bot")),
    ("mention of a longer name", tagged("mention", f"@{USERNAME}2", f"@{USERNAME}2")),
    ("offsets in characters would miss", marked("🚌🚌 @other_bot @avtobus_bot", (5, 10))),
    ("mention out of range", marked("эй", (50, 12))),
    ("mention that cuts an emoji", marked("🚌🚌", (1, 2))),
    ("username without an entity", group(f"пишите @{USERNAME}")),
    ("username as code", tagged("code", f"@{USERNAME}")),
    ("another's mention in a caption", captioned("mention", "@other_bot", "@other_bot")),
    ("text mention of another", tagged("text_mention", "эй, ты", "ты", user=person(8))),
    # replies
    ("reply to another", answering(person(8))),
    ("reply to another bot", answering(another_bot())),
    ("reply to the bot that asks another", answering(SELF, "@other_bot а ты?",
     entities=[entity("mention", "@other_bot", "@other_bot")])),
    ("topic root of the bot's", answering(SELF, **topic(50))),
    ("topic's creation by the bot", answering(SELF, target=TOPIC_CREATED)),
    # names
    ("name inside a word", group("автобусный парк")),
    ("name at a word's end", group("микроавтобус")),
    ("name in a username", group("@bus сюда")),
    ("name in a snake", group("my_bus_stop")),
    ("name in a path", group("сайт.рф/bus")),
    ("no name", group("поехали")),
    # commands
    ("command inside the text", group("напишите /start")),
    ("command in a caption", group(None, caption="/start")),
    # words of others
    ("forwarded with the name", forwarded(group("автобус ушёл"))),
    ("forwarded with a mention", forwarded(tagged("mention", f"@{USERNAME}"))),
    # answers across chats, quotes
    ("an answer to another there", group("да", external_reply=elsewhere(person(8)))),
    ("a quote of another", answering(person(8), quote={"text": "автобус", "position": 0})),
]  # fmt: skip
INSANE_CASES: list[Case] = [
    ("private, insane", private("привет"), Reason.PRIVATE),
    ("another's command, insane", commanded("/start@other_bot"), Reason.FOREIGN_COMMAND),
    ("unknown command in a group", commanded("/sing"), Reason.FOREIGN_COMMAND),
    ("command by a bot", group("/insanity", sender=another_bot()), Reason.BOTS_COMMAND),
    ("a bot's answer to a command", group("готово", sender=another_bot(),
     reply_to_message=group("/mute")), Reason.BOTS_COMMAND),
    ("a person's answer to a command", group("и зря", reply_to_message=group("/mute")),
     Reason.INSANITY),
    ("insane", group("поехали"), Reason.INSANITY),
    ("insane, named", group("автобус"), Reason.NAME),
    ("insane, sticker", group(None), Reason.NO_TEXT),
    ("insane, own message", group("сам", sender=SELF), Reason.OWN),
    ("an administrator writes as the group", as_group("поехали"), Reason.INSANITY),
    ("a linked channel's post", group("автобус", sender_chat=CHANNEL, is_automatic_forward=True),
     Reason.CHANNEL),
    ("somebody joined", group(None, new_chat_members=[person(8)]), Reason.NO_TEXT),
    ("dice", group(None, dice={"emoji": "🎲", "value": 3}), Reason.NO_TEXT),
    ("forwarded, insane", forwarded(group("новость")), Reason.INSANITY),
    ("made inline, insane", group("кот", via_bot=another_bot()), Reason.VIA_BOT),
    ("a channel", {**group("новость"), "chat": {"id": -3, "type": "channel"}}, Reason.CHANNEL),
]  # fmt: skip
TABLE = [
    *((*case, CALM) for case in CALM_CASES),
    *((*case, Reason.NOT_ADDRESSED, CALM) for case in NOT_FOR_THE_BOT),
    *((*case, INSANE) for case in INSANE_CASES),
]


@cases("raw, reason, view", TABLE)
def test_who_is_addressed(raw: dict[str, Any], reason: Reason, view: View) -> None:
    assert decide(read_message(raw, NOW), ME, view, CONFIG, NOW) is reason


def test_names_are_no_patterns() -> None:
    assert is_called(("a.b",), "это a.b!")
    assert not is_called(("a.b",), "это axb!")
