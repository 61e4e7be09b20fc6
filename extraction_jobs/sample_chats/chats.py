"""The two sample chats: who talks where and when. What is said comes from the phrase banks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from extraction_jobs.sample_chats.bank import Bank
from extraction_jobs.sample_chats.telegram import ChatWriter, Person

_BANKS = Path(__file__).parent
_START = datetime(2025, 1, 13, 7, 5, tzinfo=UTC)
AVTOBUS_EXCHANGES, POLKSON_EXCHANGES = 2000, 2200


def _people(first_id: int, *names: str | None) -> tuple[Person, ...]:
    return tuple(Person(first_id + number, name) for number, name in enumerate(names))


_COMMUTERS = _people(
    500000100,
    *("Вера", "Тимур с Почты", "Галина Ивановна", "Костя", "Нина", "Лёва", "Майя ☀️", "Сан Саныч"),
    *("Оля с фикусом", "Гриша", "Жанна", None, "Пётр", "Тётя Рая", "Юля 🌿", "Макар"),
)
_POLKSON = Person(500000201, "Полксон")
_FRIENDS = _people(500000210, "Лена", "Рома", "Катя Ли", "Игнат", None)


def avtobus() -> dict[str, Any]:
    """Return a supergroup of commuters, exported as a single chat."""
    random = Random(37)
    bank = Bank(_BANKS / "avtobus.yaml", random)
    chat = ChatWriter("Автобус 37 🚌", "private_supergroup", 1500000037, random)
    names = [person.name for person in _COMMUTERS if person.name]
    chat.service(_START, _COMMUTERS[0], "create_group", title=chat.name, members=names)
    speakers: list[Person] = []
    for moment, goes_on in _moments(random, AVTOBUS_EXCHANGES):
        exchange = bank.exchange(reaction_share=0.3)
        if not goes_on:
            speakers = random.sample(_COMMUTERS, random.choice((2, 4)))
        last = 0
        for number, burst in enumerate(exchange.sides):
            reply_to = last if number and random.random() < 0.25 else None
            for text in burst:
                moment += timedelta(seconds=random.randint(4, 70))
                last = chat.say(moment, speakers[number % len(speakers)], text, reply_to)
                reply_to = None
        _between(chat, random, moment, speakers[-1])
    return chat.export()


def polkson() -> dict[str, Any]:
    """Return an account's export: a private chat, a group, and saved messages."""
    random = Random(12)
    bank = Bank(_BANKS / "polkson.yaml", random)
    private = ChatWriter("Лена", "personal_chat", _FRIENDS[0].id, random)
    group = ChatWriter("Полка и компания", "private_group", 400000212, random)
    saved = ChatWriter("", "saved_messages", _POLKSON.id, random)
    group.service(_START, _POLKSON, "create_group", title=group.name, members=["Лена", "Рома"])
    chat, friend = private, _FRIENDS[0]
    for moment, goes_on in _moments(random, POLKSON_EXCHANGES):
        if not goes_on:
            chat = private if random.random() < 0.6 else group
            friend = _FRIENDS[0] if chat is private else random.choice(_FRIENDS)
        exchange = bank.exchange(reaction_share=0.3)
        asked = 0
        for number, burst in enumerate(exchange.sides):
            sender = _POLKSON if number % 2 else friend
            reply_to = asked if number % 2 and chat is group and random.random() < 0.4 else None
            for text in burst:
                moment += timedelta(seconds=random.randint(3, 50))
                said = chat.say(moment, sender, text, reply_to)
                reply_to = None
            asked = said
        _between(chat, random, moment, friend)
    saved.say(_START, _POLKSON, "купить дюбели, рулетку и тетрадь для рулетки")
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": _POLKSON.id, "first_name": "Полксон"},
        "chats": {
            "about": "This page lists all chats from this export.",
            "list": [saved.export() | {"name": None}, private.export(), group.export()],
        },
    }


def _moments(random: Random, count: int) -> Iterator[tuple[datetime, bool]]:
    """Yield when each topic begins, and whether it continues the conversation before it.

    Half of them do; the others begin after more than a session's pause.
    """
    moment = _START
    for _ in range(count):
        goes_on = moment > _START and random.random() < 0.5
        moment += timedelta(minutes=random.randint(5, 20) if goes_on else random.randint(75, 420))
        yield moment, goes_on


def _between(chat: ChatWriter, random: Random, moment: datetime, sender: Person) -> None:
    """Add now and then a sticker, a forwarded message or a pin."""
    moment += timedelta(seconds=40)
    if random.random() < 0.08:
        chat.oddment(moment, sender)
    elif random.random() < 0.01:
        chat.service(moment, sender, "pin_message", message_id=max(1, len(chat.messages) - 1))
