"""Private items planted into a chat: how many are found by kind, and what else is taken for one."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from moderation.private import Kind, replace_private

CHAT = Path(__file__).parents[2] / "extraction_jobs" / "sample_chats" / "avtobus.json"
MESSAGES, PLANTED = 2000, 200
RECALL, FALSE_ALARMS = 0.98, 0.02
"""The bars: of each kind, and of the messages without any item."""
INNOCENT = (
    *("в 18:45", "25.03.2025", "1 299 990 ₽", "№ 1234567890", "3.14159265", "10:15, 3:2"),
    *("заказ 4276380123", "2 * 2 = 4", "8 800 555 35 35", "https://ya.ru/12345678", "20°, 25°"),
)
"""Digits as people write them, which stand in every third message."""
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def secret(chance: random.Random, count: int) -> str:
    return "".join(chance.choices(LETTERS, k=count - 2)) + "x7"


def card(chance: random.Random) -> str:
    number = chance.choice(("4276", "5469", "2202")) + digits(chance, 11)
    total = sum(sum(divmod(int(n) * (2 - place % 2), 10)) for place, n in enumerate(number))
    number += str(-total % 10)
    return chance.choice(("", " ", "-")).join(number[at : at + 4] for at in range(0, 16, 4))


def phone(chance: random.Random) -> str:
    code, number = f"9{digits(chance, 2)}", digits(chance, 7)
    first, pairs = number[:3], (number[3:5], number[5:])
    shapes = ("+7{0}{1}{2}{3}", "8 {0} {1}-{2}-{3}", "8({0}){1}{2}{3}", "+7 ({0}) {1}-{2}-{3}")
    return chance.choice(shapes).format(code, first, *pairs)


def snils(chance: random.Random) -> str:
    number = digits(chance, 9)
    total = sum(int(n) * weight for n, weight in zip(number, range(9, 0, -1), strict=True))
    return f"{number[:3]}-{number[3:6]}-{number[6:]} {total % 101 % 100:02}"


def inn(chance: random.Random) -> str:
    number = digits(chance, 10)
    for weights in ((7, 2, 4, 10, 3, 5, 9, 4, 6, 8), (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)):
        total = sum(int(n) * weight for n, weight in zip(number, weights, strict=True))
        number += str(total % 11 % 10)
    return chance.choice(("", "ИНН ")) + number


def passport(chance: random.Random) -> str:
    region, year = chance.choice(("45", "40", "60")), chance.choice(("08", "12", "19"))
    shapes = ("паспорт {0} {1} {2}", "{0} {1} {2}", "серия {0}{1} номер {2}")
    return chance.choice(shapes).format(region, year, digits(chance, 4) + "17")


def email(chance: random.Random) -> str:
    name = chance.choice(("anna.k", "petrov", "vera_p", "irina-m")) + digits(chance, 2)
    return f"{name}@{chance.choice(('mail.ru', 'yandex.ru', 'gmail.com'))}"


def key(chance: random.Random) -> str:
    shapes = ("123456789:AA{33}", "ghp_{36}", "sk-{40}", "пароль: {11}", "hf_{30}")
    head, _, size = chance.choice(shapes).partition("{")
    return head + secret(chance, int(size[:-1]))


def link(chance: random.Random) -> str:
    shapes = ("https://t.me/+{}", "https://a.ru/b?token={}", "https://chat.whatsapp.com/{}")
    return chance.choice(shapes).format(secret(chance, 20))


def place(chance: random.Random) -> str:
    north, east = chance.uniform(41, 69), chance.uniform(20, 140)
    shapes: tuple[str, ...] = ("{0:.6f}, {1:.6f}", "{0:.6f},{1:.6f}")
    shapes += ("https://ya.ru/maps/?ll={1:.5f}%2C{0:.5f}",)
    shapes += ("{0:.0f}°27'08.5\"N {1:.0f}°07'13\"E", "https://maps.google.com/?q={0:.6f},{1:.6f}")
    return chance.choice(shapes).format(north, east)


MAKERS: dict[Kind, Callable[[random.Random], str]] = {
    **{Kind.CARD: card, Kind.PHONE: phone, Kind.SNILS: snils, Kind.INN: inn},
    **{Kind.PASSPORT: passport, Kind.EMAIL: email, Kind.KEY: key, Kind.LINK: link},
    Kind.PLACE: place,
}


def chat(chance: random.Random) -> list[str]:
    """Messages of a sample chat, with numbers that are nobody's secret in every third."""
    texts = [
        entry["text"]
        for entry in json.loads(CHAT.read_bytes())["messages"]
        if isinstance(entry.get("text"), str) and entry["text"]
    ]
    chosen = chance.choices(texts, k=MESSAGES)
    return [text if n % 3 else f"{text} {chance.choice(INNOCENT)}" for n, text in enumerate(chosen)]


def test_planted_items_are_found_by_kind_and_little_else_is_taken_for_one() -> None:
    chance = random.Random(7)
    texts, kinds = chat(chance), list(MAKERS)
    planted, missed = Counter[Kind](), Counter[Kind]()
    for number, at in enumerate(chance.sample(range(MESSAGES), PLANTED)):
        kind = kinds[number % len(kinds)]
        item = MAKERS[kind](chance)
        words = texts[at].split()
        words.insert(chance.randrange(len(words) + 1), item)
        left = replace_private(" ".join(words), Counter())
        planted[kind] += 1
        missed[kind] += item[-6:] in left
        texts[at] = ""
    alarms = [text for text in texts if replace_private(text, Counter()) != text]
    assert {kind: missed[kind] <= (1 - RECALL) * planted[kind] for kind in kinds} == dict.fromkeys(
        kinds, True
    )
    assert len(alarms) <= FALSE_ALARMS * (MESSAGES - PLANTED), alarms
