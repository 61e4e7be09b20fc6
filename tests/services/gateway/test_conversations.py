"""What people write, and what the bot says to each message: the table."""

from typing import Any

from services.gateway.bot_config import WORDLESS as WORDLESS_LINES
from services.gateway.typing_delay import without_pings
from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import (
    ALBUM,
    another_bot,
    entity,
    group,
    own,
    person,
    private,
    topic,
)

Exchange = tuple[Any, ...]
"""A message, and the texts that answer it."""
NINA, ADMINISTRATOR = person(8), 7
GROUP = {"id": -100, "type": "supergroup", "title": "Салон"}
PHOTO = "Слов не вижу."


def unclear(example: str) -> str:
    return TEXTS.unclear.replace("{example}", example)


NO_SUCH = TEXTS.unknown.replace("{help}", "/help@avtobus_bot")
RATE = "@avtobus_bot /5 из 10 поставишь?"


def muted(until: str) -> str:
    return TEXTS.muted.replace("{until}", f"15.01 {until}")


CASES: list[tuple[str, list[Exchange], dict[str, Any], list[list[str]]]] = [
    ("insanity by word", [
        (group("/insanity on"), TEXTS.insanity_on), (group("/insanity вкл"), TEXTS.insanity_on),
        (group("/insanity OFF"), TEXTS.insanity_off), (group("/insanity off"), TEXTS.insanity_off),
        (group("/insanity maybe"), unclear("/insanity on (или off)"))], {}, []),
    ("insanity as people say it", [
        (group("/insanity включить"), TEXTS.insanity_on),
        (group("/insanity @avtobus_bot выключить"), TEXTS.insanity_off),
        (group("@avtobus_bot, /insanity on"), TEXTS.insanity_on),
        (group("/insanity off @avtobus_bot"), TEXTS.insanity_off),
        (group("/insanity! on"), TEXTS.insanity_on), (group("/insanity off @other_bot"),),
        (group("/insanity @other_bot off"),), (group("@other_bot /insanity off"),),
        (group("ну"), "эхо: ну")], {}, []),
    ("insanity means nothing where all is answered anyway",
     [(private("/insanity"), TEXTS.groups_only)], {}, []),
    ("insanity is that chat's alone", [
        (group("/insanity", chat=-1), TEXTS.insanity_on), (group("а тут?", chat=-2),)], {}, []),
    ("insanity is that topic's alone where it has settings of its own", [
        (group("/insanity", **topic(5)), TEXTS.insanity_on),
        (group("тут?", **topic(5)), "эхо: тут?"), (group("а в общем?"),)], {}, []),
    ("only administrators switch insanity in groups", [
        (group("/insanity", sender=NINA), TEXTS.refused), (group("и что?"),)], {}, []),
    ("an anonymous administrator switches insanity", [
        (group("/insanity", sender_chat=GROUP, sender=another_bot()), TEXTS.insanity_on)], {}, []),
    ("chattiness is set, and refused when it is none", [
        (group("/chattiness 100%"), TEXTS.chattiness.replace("{percent}", "100")),
        (group("ну"), "эхо: ну"), (group("/chattiness 0"), TEXTS.chattiness_off), (group("ну"),),
        (group("/chattiness много"), unclear("/chattiness 15 (от 0 до 100)"))], {}, []),
    ("a mute as people say it", [
        (group("/mute на полчаса"), muted("11:30")), (group("/mute 2 часа"), muted("13:00")),
        (group("/mute на час"), muted("12:00")), (group("/mute"), muted("12:00")),
        (group("/mute 2 часа @avtobus_bot"), muted("13:00")),
        (group("/mute до 2 дня"), muted("14:00")), (group("/mute до вечера"), muted("18:00")),
        (group("/mute off"), TEXTS.unmuted),
        (group("/mute навсегда"), unclear("/mute 2 часа (от минуты до 366 дней)"))], {}, []),
    ("quiet hours as people say them", [
        (group("/quiet с 13 до 15"), TEXTS.quiet.format(begin="13:00", end="15:00")),
        (group("/quiet с 11 вечера до утра"), TEXTS.quiet.format(begin="23:00", end="8:00")),
        (group("/quiet вкл"), TEXTS.quiet.format(begin="23:00", end="8:00")),
        (group("/quiet ночью"), unclear("/quiet 23-8 (часы от 0 до 24, или off)"))], {}, []),
    ("quiet hours in private, where nothing is said unasked",
     [(private("/quiet 23-8"), TEXTS.groups_only)], {}, []),
    ("in private a slash and a word are meant as a command", [
        (private("/sing"), TEXTS.help), (private("/помощь"), TEXTS.help),
        (private("@avtobus_bot /help"), TEXTS.help), (private("ну и ну /s"), "эхо: ну и ну /s"),
        (private("/help!"), TEXTS.help), (private("/HELP."), TEXTS.help),
        (private("/sing a song"), TEXTS.help), (private("/помощь!"), TEXTS.help),
        (private("/forgetme@other_bot"), TEXTS.help), (private("@other_bot /sing"), TEXTS.help)],
     {}, []),
    ("in private a path, a date and a sentence are talk",
     [(private(each), f"эхо: {each}") for each in ("/etc/passwd", "/2", "/2 мая", "/дом стоит")],
     {}, []),
    ("in groups a command that there is not is another bot's, unless it names this one",
     [(group("/sing", sender=NINA),), (group("/sing@avtobus_bot", sender=NINA), NO_SUCH),
      (group("/sing! @avtobus_bot"), NO_SUCH)],
     {}, []),
    ("in groups a number that follows the bot's name is talk",
     [(group(RATE, entities=[entity("mention", RATE, "@avtobus_bot")]),
       "эхо: /5 из 10 поставишь?")],
     {}, []),
    ("people are told of talk, administrators of settings", [
        (group("/help", sender=NINA), TEXTS.help), (group("/help"), TEXTS.help_admin)], {}, []),
    ("an anonymous administrator is told why nothing can be deleted", [
        (group("/forgetme", sender_chat=GROUP, sender=another_bot()), TEXTS.anonymous)], {}, []),
    ("quiet hours are set and taken back", [
        (group("/insanity"), TEXTS.insanity_on),
        (group("/quiet 10:30-12"), TEXTS.quiet.format(begin="10:30", end="12:00")), (group("ну"),),
        (group("/quiet off"), TEXTS.quiet_off), (group("ну"), "эхо: ну")], {}, []),
    ("nothing is to be set in private", [(private("/settings"), TEXTS.groups_only)], {}, []),
    ("commands that want an answer say so", [
        (private("/delete"), TEXTS.answer_me), (private("/report"), TEXTS.answer_me)], {}, []),
    ("what is written after forgetme is answered", [
        (private("/forgetme"), TEXTS.forgotten), (private("ты тут?"), "эхо: ты тут?")], {}, []),
    ("a stranger's word takes nothing from the others", [
        (private("/delete", reply_to_message=own("едем в депо")), TEXTS.deleted),
        (group("автобус, куда?", sender=NINA), "едем в депо")], {}, [["едем в депо"]]),
    ("a new conversation is no way round the limit", [
        (private("раз"), "эхо: раз"), (private("/reset"), TEXTS.reset),
        (private("два"), TEXTS.limited), (private("три"),)], {"hourly_limit": 1}, []),
    ("a person gets so many answers an hour and is told once", [
        (private("раз"), "эхо: раз"), (private("два"), "эхо: два"),
        (private("три"), TEXTS.limited), (private("ещё"),)], {"hourly_limit": 2}, []),
    ("nobody is pinged by what the model says",
     [(private("кого?"), without_pings("спроси @nina_k, почта a@b.ru"))], {},
     [["спроси @nina_k, почта a@b.ru"]]),
    ("pings may be allowed", [(private("кого?"), "спроси @nina_k")], {"allow_pings": True},
     [["спроси @nina_k"]]),
    ("the bot does not repeat itself", [
        (private("куда?"), "мы едем в депо"), (private("а теперь?"), "приехали")], {},
     [["мы едем в депо"], ["приехали"]]),
    ("a reply of several messages goes out in parts",
     [(group("Автобус, считай"), "раз", "два", "три")], {}, [["раз", "два", "три"]]),
    ("a picture without words gets the line for it, an album once", [
        (private(None, **ALBUM), PHOTO), (private(None, **ALBUM),)], {"wordless": (PHOTO,)}, []),
    ("a line for pictures that was deleted is not said again", [
        (private("/delete", reply_to_message=own(PHOTO)), TEXTS.deleted),
        (private(None, **ALBUM),)], {"wordless": (PHOTO,)}, []),
    ("an album is answered once", [
        (group(None, caption="автобус, гляди", **ALBUM), "эхо: автобус, гляди"),
        (group(None, caption="автобус, гляди", **ALBUM),)], {}, []),
    ("two insane bots stop at the depth", [
        (group("/insanity"), TEXTS.insanity_on), (group("ну, начали"), "эхо: ну, начали"),
        (group("полка раз", sender=another_bot()), "эхо: полка раз"),
        (group("полка два", sender=another_bot()),), (group("хватит"), "эхо: хватит")], {}, []),
]  # fmt: skip


WORDLESS: dict[str, Any] = {
    **{name: {"file_id": "1"} for name in ("sticker", "voice", "video_note", "audio", "document")},
    **{"location": {"latitude": 1.5, "longitude": 2}, "venue": {"title": "Депо"}},
    **{"contact": {"phone_number": "1"}, "poll": {"id": "1"}, "dice": {"emoji": "🎲", "value": 6}},
    **{"game": {"title": "ой"}, "story": {"id": 1}, "checklist": {"title": "ой"}},
    **{"gift": {"gift": {}}, "unique_gift": {}, "giveaway": {"winner_count": 1}, "live_photo": {}},
    **{"invoice": {"title": "Билет"}, "what Telegram does not have yet": {"file_id": "1"}},
}
SERVICE = """
new_chat_members left_chat_member new_chat_title new_chat_photo delete_chat_photo chat_owner_left
group_chat_created message_auto_delete_timer_changed pinned_message successful_payment
refunded_payment users_shared chat_shared connected_website write_access_allowed passport_data
proximity_alert_triggered boost_added chat_background_set checklist_tasks_done
checklist_tasks_added direct_message_price_changed forum_topic_created forum_topic_edited
general_forum_topic_hidden giveaway_created giveaway_completed paid_message_price_changed
poll_option_added suggested_post_approved suggested_post_approval_failed suggested_post_declined
suggested_post_paid suggested_post_refunded video_chat_scheduled video_chat_started
video_chat_participants_invited web_app_data managed_bot_created community_chat_joined
"""


async def test_what_has_no_words_gets_a_line_by_default(world: World) -> None:
    world.configure(hourly_limit=1000)
    async with world.gateway():
        texts = await world.ask(*(private(None, **{k: v}) for k, v in WORDLESS.items()))
        silent: list[dict[str, Any]] = [{name: {"x": 1}} for name in SERVICE.split()]
        await world.talk(*(private(None, **each) for each in silent))
        await world.counts("decisions_total", len(silent), reason="no_text")
        await world.ask(private(None, voice={}, suggested_post_info={}, paid_star_count=5))
    assert set(texts) <= set(WORDLESS_LINES)
    assert len(set(texts)) > 1


@cases("exchanges, config, candidates", CASES)
async def test_a_conversation(
    world: World, exchanges: list[Exchange], config: dict[str, Any], candidates: list[list[str]]
) -> None:
    world.configure(**config)
    world.telegram.administrators.add(ADMINISTRATOR)
    if candidates:
        world.generation.candidates = [candidate(*lines) for lines in candidates]
    expected = list[str]()
    async with world.gateway():
        for message, *answers in exchanges:
            expected += answers
            await world.talk(message)
            await world.says(*expected)
            await world.counts("outbox_size", 0)
        await world.settle()
    assert world.telegram.texts() == expected
