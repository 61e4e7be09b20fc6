"""What is private is found in every spelling; dates, sums, scores and public links are not."""

import time
from collections import Counter

import pytest

from moderation.moderator import Action, Moderator
from moderation.policy import Level, Policy
from moderation.private import Kind, find_private, replace_private, unfinished_at

KEYCAPS = "".join(f"{digit}\ufe0f\u20e3" for digit in "4276380123450004")
PRIVATE = {
    Kind.CARD: [
        *("4276 3801 2345 0004", "4276380123450004", "4276-3801-2345-0004", "4276.3801.2345.0004"),
        *("4276\u00a03801\u00a02345\u00a00004", "4276\u202f3801\u20132345 — 0004"),
        "４２７６ ３８０１ ２３４５ ０００４",
        *("42\u200b76 3801 2345 0004", "4 2 7 6 3 8 0 1 2 3 4 5 0 0 0 4", KEYCAPS),
        *("4276\n3801\n2345\n0004", "карта4276380123450004,", "4276 3801 2345 0004 12/28 123"),
        *("скинь на 4276 3801 2345 0004, это 2500", "2024 4276 3801 2345 0004"),
        "427638 0123450004",
        *("2200 1234 5678 9019", "5555-5555-5555-4444", "4111 1111 1111 1111"),
        *("visa4276380123450004", "MIR2200123456789019", "карта_4276 3801 2345 0004"),
        *("4276:3801:2345:0004", "4276|3801|2345|0004", "4276*3801*2345*0004"),
        *("4276~3801~2345~0004", "4276 + 3801 + 2345 + 0004"),
        *("4 2 7 6 3 8 0 1 2 3 4 5 0 0 0 4\n5 раз", "12 4 2 7 6 3 8 0 1 2 3 4 5 0 0 0 4"),
        *("4276\u034f3801\u202e2345\u20620004", "ну.......... 4276 3801 2345 0004"),
        *("378282246310005", "3782 822463 10005", "6304 0000 0000 0000 00"),
    ],
    Kind.PHONE: [
        *("+7 912 345-67-89", "8 (912) 345-67-89", "89123456789"),
        *("+7(912)3456789", "8-912-345-67-89"),
        *("7 912 345 67 89", "9123456789", "912 345-67-89", "(912) 345-67-89", "8 912 3456789"),
        *("8.912.345.67.89", "8–912–345–67–89", "８９１２３４５６７８９", "8 9 1 2 3 4 5 6 7 8 9"),
        *("8 495 123-45-67", "8 (3452) 12-34-56", "wa.me/79123456789", "+79123456789, 25 лет"),
        *("+7_912_345_67_89", "звоните±7.912.345.67.89", "тел89123456789", "89123456789!!!"),
        *("8 912 34 56 789", "8(912)34-56-789", "*89123456789*", "**8 912 345-67-89**"),
        *("8 912 345-67-89 = мама", "Аня 2 - 89123456789", "дом 5 / 89123456789"),
        *("tel89123456789", "_89123456789_", "+79123456789 01.02.2024"),
        *("+380 44 123 45 67", "+44 20 7946 0958", "+1 (650) 253-0000", "+375291234567"),
    ],
    Kind.EMAIL: [
        *("ivan.petrov@mail.ru", "IVAN@Example.COM", "почта@домен.рф", "i+tag@sub.mail.co.uk"),
        *("ivan (at) mail.ru", "ivan[at]mail.ru", "ivan собака mail.ru", "ivan @ mail.ru"),
        *("пиши: ivan собака mail точка ru", "ivan＠mail.ru", "ivan[@]mail.ru", "ivan @mail.ru"),
        *("iv\u2060an@ma\u034fil.ru", "вася @ почта.рф"),
    ],
    Kind.PASSPORT: [
        *("паспорт 4509 123456", "4509 123456", "45 09 123456", "паспорт: 4509123456"),
        *("серия 4509 номер 123456", "45 09 № 123456", "паспорт серии 2004 № 123000"),
        *("паспорт: серия 4509, номер 123456", "паспорт серия 45-09 номер 123456"),
        *("серия паспорта 4509 номер паспорта 123456", "паспорт 4509 123 456"),
    ],
    Kind.SNILS: ["123-456-789 64", "123 456 789 64", "СНИЛС 12345678964", "снилс: 123-456-78964"],
    Kind.INN: ["ИНН 7707083893", "инн: 500100732259", "500100732259", "ИНН: 7707 08 38 93"],
    Kind.KEY: [
        "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1",
        *("AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefABCDEF0123456789abcd"),
        *("sk-proj-abcdefghijklmnop1234", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_DEF-123"),
        *("пароль: Qwerty123", "пароль от вайфая qwerty12345", "ключ API: 9f86d081884c7d659a2fea"),
        "https://api.telegram.org/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1/getMe",
        *("hf_abcdefghijklmnopqrstuvwxyzABCDEFGH", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
        *("npm_0123456789abcdefABCDEF0123456789abcd", "ya29.a0AfH6SMBx-abcdefghijkl_mnop"),
        *('пароль "Qwerty123"', "apiKey: 9f86d081884c7d659a2fea"),
        "token=0123456789abcdef0123456789abcdef",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIB\nAAKC\n-----END RSA PRIVATE KEY-----",
    ],
    Kind.LINK: [
        *("https://t.me/+AbCdEf123456", "t.me/joinchat/AAAAAEabc123"),
        "tg://join?invite=AAAAAEabc1",
        *("https://site.ru/reset?token=abcdef123456", "https://x.ru/a?b=1&access_token=abcdef"),
        *("https://user:passw0rd@site.ru/", "https://zoom.us/j/123?pwd=abcdef12"),
    ],
    Kind.PLACE: [
        *("55.755826, 37.617300", "55.755831,37.617673", "55.7558 37.6176", "-33.86881; 151.20929"),
        *("https://yandex.ru/maps/?ll=37.617673%2C55.755831&z=12", "!3d55.75581!4d37.61761"),
        *("https://www.google.com/maps/@55.7558310,37.6176730,17z", "geo:55.755831,37.617673"),
        "https://www.openstreetmap.org/#map=15/55.75583/37.61767",
        *("55°45'20.9\"N 37°37'03.6\"E", "55°45.35′N 37°37.06′E", "N55.755831 E37.617673"),
        *("55.755831° N, 37.617673° E", "55°45′21″ с. ш. 37°37′04″ в. д.", "59°57'N 30°19'E"),
    ],
}  # fmt: skip
INNOCENT = [
    *("в 10:15 поехали", "2024-12-31 23:59:59"),
    *("31.12.2024 - 08.01.2025", "25.12.2024 - 08.01.2025"),
    *("7.10.2024 - 8.10.2024", "01.02.2024 12.30", "8 марта 2024", "год 2023, 2024, 2025, 2026"),
    *("цена 1 299 990 руб", "2500, 3400, 4200", "990 1290 1490", "8990 1290 490", "16 000 000 000"),
    *("1 000 000 000 000", "1000000000000000", "в 1990 250000 человек"),
    *("2024 100500", "999999999999"),
    *("счёт 3:2, 10:15", "ахахахахахах", "5 4 5 4 4 5 3 4 5 5 4 4 5 5 4 5 5"),
    *("10/10", "100-200-300"),
    *("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "0 0 0 0 0 0 0 0 0 0 0 0"),
    *("1111 2222 3333", "12 34 56"),
    *("1735725600000", "-1001234567890", "t.me/c/1234567890/55"),
    *("заказ 1234567890", "№ 12345678901"),
    *("192.168.100.200", "v7.912.345", "3.14159265358979", "4276 3801 2345 0005"),
    *("8 800 555 35 35", "8-800-555-35-35", "+7 800 555 35 35", "тел. 112", "+100500100500"),
    *("8 + 912 + 345", "89123456789 = 3 * 29707818929", "123 456 789 65", "ИНН 7707083894"),
    *("https://t.me/durov/123", "https://youtube.com/watch?v=dQw4w9WgXcQ"),
    "ru.wikipedia.org?key=1",
    *("@vasya привет", "привет @user.name", "моя собака бежит", "пароль забыл", "ключ от квартиры"),
    *("включи https://youtu.be/dQw4w9WgXcQ", "переключи на 1080p60fps", "hockey: nhl2024live"),
    *("ключевые слова: python3.12", "ключ тут https://drive.google.com/file/d/1a2b3c4d5e"),
    *("ключ youtu.be/dQw4w9WgXcQ", "1080key 60fps1080p"),
    *("погода +15..18, 12.05.2024", "+1 12.05.2024", "+10, 09.07.2023", "4000 150500"),
    *("8.9 7.7 5.8 8.9 9.5 8.8", "8-3, 3-1, 5-4, 2-2, 0-1, 1-0", "990 500 3590 5990"),
    "5670 9960 8960 1550",
    *("заказ 9123456780", "№ 89123456780", "id 9123456780", "9999999999 рублей"),
    "IMEI 352099001761481",
    *("моя собака съела.все", "меня собака лает.капец", "сижу @ дома.капец"),
    *("a.ru/?aff_trace_key=abcdef123", "vk.com/photo1?access_key=abcdef123", "a.ru?monkey=abcdef1"),
    *("a.ru/?a=1&msid=abcdef123", "a.ru/?compass=abcdef123"),
    *("20°, 25°", "поворот 90°, 180°", "45° 30'", "курс 92.4561 и 101.2345", "1.08451/1.08455"),
    *("😀😀😀", "", "5-7 лет 2024-2025"),
]  # fmt: skip
BLOCKING = Moderator(Policy())
CASES = [(kind, text) for kind, texts in PRIVATE.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_what_is_private_is_found_in_every_spelling_and_stopped(kind: Kind, text: str) -> None:
    assert kind in {item.kind for item in find_private(f"ну вот {text} ага")}
    verdict = BLOCKING.check(text)
    assert (verdict.action, verdict.text) == (Action.BLOCKED, "")
    assert verdict.category == "private"


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_nobodys_secret_passes(text: str) -> None:
    assert not list(find_private(text))
    assert BLOCKING.check(text).action is Action.NONE


def test_all_of_an_item_is_masked_and_the_rest_is_kept_beside_other_masking() -> None:
    masking = Moderator(Policy(private=Level.SOFT))
    assert masking.check("карта 4276 3801 2345 0004, тел. +7 912 345-67-89!").text == (
        "карта **** **** **** ****, тел. +* *** *********!"
    )
    verdict = masking.check("хуйня, пиши на i@ya.ru")
    assert (verdict.action, verdict.text) == (Action.MASKED, "*****, пиши на *******")
    passed = Moderator(Policy(private=Level.OFF)).check("пиши на i@ya.ru")
    assert passed.action is Action.NONE


@pytest.mark.parametrize(
    "mark", ["4 ", "0-", "4)", "eyJ", "key a ", "a@b.", "4276 3801 2345 0004 "]
)
def test_a_hostile_text_takes_no_longer_than_in_proportion_to_its_length(mark: str) -> None:
    text = mark * ((1 << 16) // len(mark))
    began = time.process_time()
    list(find_private(text))
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("позвони +7 916 123-45-67 вечером", "позвони [телефон] вечером"),
        ("8 (916) 123-45-67, +79161234567", "[телефон], [телефон]"),
        ("карта 4276 3801 2345 0004, почта anna@mail.ru", "карта [карта], почта [почта]"),
        ("мы тут: 55.755826, 37.617300", "мы тут: [место]"),
        ("в 2010 году было 15 человек", "в 2010 году было 15 человек"),
    ],
)
def test_what_is_private_is_replaced_by_the_name_of_its_kind(text: str, left: str) -> None:
    found = Counter[str]()
    assert replace_private(text, found) == left
    assert found.total() == left.count("[")


def test_degrees_are_held_back_until_both_are_known() -> None:
    assert unfinished_at("тут 55°45′21″ с. ш. ") == len("тут ")


def test_a_number_before_a_place_is_no_part_of_it() -> None:
    for number in ("3.14159265", "45.12345"):
        left = replace_private(f"вот {number} 55.755826, 37.617300 тут", Counter())
        assert left == f"вот {number} [место] тут"
