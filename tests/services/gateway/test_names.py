"""Where a bot's names are heard: as people say them, and nowhere else."""

from typing import Any
from unicodedata import normalize

import pytest

from services.gateway.decision import addressed
from services.gateway.incoming import Identity, read_message
from services.gateway.reasons import Reason
from tests.services.gateway.conftest import World, cases
from tests.services.gateway.telegram import BOT_ID, USERNAME, entity, group, person

ME = Identity(
    BOT_ID,
    USERNAME,
    ("автобус", "сергей", "алёна", "анна петровна", "мяу-мяу", "bus", "анна мария"),
)
Case = tuple[str, dict[str, Any]]


def decomposed(text: str) -> dict[str, Any]:
    return group(normalize("NFD", text))


def marked(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    return group(text, entities=[entity(kind, text, part, **more)])


def captioned(kind: str, text: str, part: str) -> dict[str, Any]:
    return group(None, caption=text, caption_entities=[entity(kind, text, part)])


HEARD: list[Case] = [
    ("decomposed й", decomposed("сергей, ты где?")),
    ("decomposed ё", decomposed("Алёна!")),
    ("decomposed, е for ё", decomposed("Алена!")),
    ("ё with a stress mark", group("але\u0308\u0301на?")),
    ("a stress mark", group("авто\u0301бус, привет")),
    ("a grave stress in one letter", group("Сѐргей, привет")),
    ("a soft hyphen", group("авто\u00adбус, привет")),
    ("a sign that joins words", group("эй, \u2060автобус\u200b!")),
    ("a no-break space", group("Анна\u00a0Петровна, здравствуйте")),
    ("a narrow one", group("Анна\u202fПетровна, здравствуйте")),
    ("a line break", group("Анна\nПетровна, здравствуйте")),
    ("two spaces", group("Анна  Петровна, здравствуйте")),
    ("a no-break hyphen", group("мяу\u2011мяу, ты тут?")),
    ("capitals, decomposed", decomposed("СЕРГЕЙ!")),
    ("after a dash", group("—автобус, привет")),
    ("after points", group("ну...автобус")),
    ("before a point without a space", group("привет, автобус.как дела")),
    ("before an address", marked("url", "автобус, глянь https://a.ru/bus", "https://a.ru/bus")),
    ("after an emoji and an address", marked("url", "🚌 a.ru автобус", "a.ru")),
    ("bold", marked("bold", "эй, автобус", "автобус")),
    ("words of a link", marked("text_link", "автобус, ты где?", "автобус", url="https://a.ru")),
    ("a caption", captioned("url", "автобус, смотри: a.ru", "a.ru")),
    ("a particle", group("автобус-то где?")),
    ("another particle", group("Сергей\u2011ка, иди сюда")),
    ("how one speaks to them", group("Сергей-сан, поехали")),
    ("twice in one", group("автобус-автобус, ау")),
    ("a hyphen for a dash", group("-автобус, привет")),
    ("a hyphen and a space", group("эй, автобус- привет")),
    ("a hyphen for a space", group("Анна-Мария, здравствуйте")),
    ("a space for a hyphen", group("мяу мяу, ты тут?")),
    ("a spoiler", marked("spoiler", "эй, автобус", "автобус")),
    ("below what it quotes", marked("blockquote", "поехали\nавтобус, ты как?", "поехали")),
]  # fmt: skip
UNHEARD: list[Case] = [
    ("another letter", group("сергеи пришли")),
    ("decomposed, inside a word", decomposed("сергейка")),
    ("an address", marked("url", "глянь https://bus.ru/автобус", "https://bus.ru/автобус")),
    ("an address without a scheme", marked("url", "глянь автобус.рф", "автобус.рф")),
    ("an address with a question", marked("url", "глянь a.ru/?q=автобус", "a.ru/?q=автобус")),
    ("an address that nobody marked", group("глянь https://a.ru/?q=автобус сюда")),
    ("a domain that nobody marked", group("глянь bus.com")),
    ("where a link leads", marked("text_link", "глянь сюда", "сюда", url="https://a.ru/автобус")),
    ("a mail address", marked("email", "пишите на bus@mail.ru", "bus@mail.ru")),
    ("a mail address that nobody marked", group("пишите на bus@mail.ru")),
    ("a hashtag", marked("hashtag", "поехали #автобус", "#автобус")),
    ("a hashtag of two words", marked("hashtag", "едем #мой·автобус", "#мой·автобус")),
    ("a hashtag that nobody marked", group("поехали #автобус")),
    ("a cashtag", marked("cashtag", "растёт $BUS", "$BUS")),
    ("code", marked("code", "строка: x = bus", "x = bus")),
    ("a block of code", marked("pre", "x = 1\nbus = 2", "x = 1\nbus = 2", language="python")),
    ("code after emoji", marked("code", "🚌🚌 bus", "bus")),
    ("code in a caption", captioned("code", "глянь: bus", "bus")),
    ("a name cut by code", marked("code", "Анна x Петровна", "x")),
    ("two words apart", group("Анна. Петровна пришла")),
    ("a compound", group("едет микро-автобус")),
    ("the first part of a compound", group("едет автобус-экспресс")),
    ("a compound with a no-break hyphen", group("едет микро\u2011автобус")),
    ("a denial", group("это не-автобус")),
    ("a particle's beginning", group("автобус-такси приехал")),
    ("a number", group("автобус-2 ушёл")),
    ("another's name of two parts", group("Анна-Мария-Луиза пришла")),
    ("what another said", marked("blockquote", "Нина: автобус, ау\nкак мило", "Нина: автобус, ау")),
    ("what another said at length", marked("expandable_blockquote", "автобус\nда", "автобус")),
    ("a mention by another", group(f"Нина: @{USERNAME}\nкак мило", entities=[
        entity("blockquote", f"Нина: @{USERNAME}", f"Нина: @{USERNAME}"),
        entity("mention", f"Нина: @{USERNAME}", f"@{USERNAME}")])),
    ("somebody else of that name", marked("text_mention", "это Сергей сказал", "Сергей",
                                          user=person(8))),
]  # fmt: skip
AT_THE_EDGE = [
    "автобус, привет", "Автобус", "привет, автобус", "ну привет, автобус!", "Я тут. Автобус, ау",
    "ау, автобус? едем", "первая строка\nавтобус, ау", "ты где, автобус\nа я дома",
    "🚌 автобус, ау",
    "— Автобус, ау", "«автобус» слышишь?", "(автобус)", "привет, анна\u00a0петровна…",
]  # fmt: skip
IN_THE_MIDDLE = [
    "жду автобус на остановке", "где мой автобус, люди?", "ну, автобус, поехали",
    "тут анна петровна была", "вот #автобус", "глянь: @автобус",
]  # fmt: skip


@cases("raw, is_heard", [(*case, True) for case in HEARD] + [(*case, False) for case in UNHEARD])
def test_where_a_name_is_heard(raw: dict[str, Any], is_heard: bool) -> None:
    assert addressed(read_message(raw, 0.0), ME) is (Reason.NAME if is_heard else None)


@pytest.mark.parametrize("text", AT_THE_EDGE + IN_THE_MIDDLE)
def test_a_name_may_call_at_the_edge_of_a_sentence_alone(text: str) -> None:
    me = Identity(BOT_ID, USERNAME, ME.names, calls_at_edge=True)
    assert addressed(read_message(group(text), 0.0), me) is (
        Reason.NAME if text in AT_THE_EDGE else None
    )


def test_a_length_that_no_text_has_costs_nothing() -> None:
    huge = {"type": "code", "offset": 3, "length": 1 << 40}
    assert addressed(read_message(group("эй, bus", entities=[huge]), 0.0), ME) is None


async def test_a_bot_is_called_as_its_file_says(world: World) -> None:
    world.configure(names=(normalize("NFD", "Сергей"), "Анна Петровна"), names_at="edge")
    async with world.gateway():
        world.telegram.put(group("видели Сергея сегодня?"), group("Сергей-младший, ты где"))
        world.telegram.put(marked("blockquote", "Сергей, ау\nкак мило", "Сергей, ау"))
        await world.ask(decomposed("Сергей, привет"), group("Анна\u00a0Петровна, а вы?"))
    assert len(world.telegram.sent) == 2
