"""The two sample chats: who talks where and when, as Telegram Desktop exports it to JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.sample_chats.bank import Bank

_START = datetime(2025, 1, 13, 7, 5, tzinfo=UTC)
_HELDOUT_SHARE = 0.1
"""Share of the persona's messages, the last ones, that training holds out by default."""
_CALLED = 0.08
_NOT_INCLUDED = "(File not included. Change data exporting settings to download.)"
_CHANNEL = "Вестник трамвайного парка"
_NEWS = (
    "Завтра трамвай пойдёт другим путём, но туда же.",
    "На кольцевой высадили тюльпаны, просьба объезжать их взглядом.",
    "Найден левый ботинок, правый может быть спокоен.",
    "Рельсы протёрли до блеска, теперь в них отражается утро.",
)


class Person(NamedTuple):
    """A sender; a deleted account has no name in an export."""

    id: int
    name: str | None


def _people(first_id: int, *names: str | None) -> tuple[Person, ...]:
    return tuple(Person(first_id + number, name) for number, name in enumerate(names))


_COMMUTERS = _people(
    500000100,
    *("Вера", "Тимур с Почты", "Галина Ивановна", "Костя", "Нина", "Лёва", "Майя ☀️", "Сан Саныч"),
    *("Оля с фикусом", "Гриша", "Жанна", None, "Пётр", "Тётя Рая", "Юля 🌿", "Макар"),
)
_POLKSON = Person(500000201, "Полксон")
_FRIENDS = _people(500000210, "Лена", "Рома", "Катя Ли", "Игнат", None)


class Chat:
    """Collects one chat's messages. `garnish` is the share of them that have more than text."""

    def __init__(self, name: str, kind: str, number: int, random: Random, garnish: float) -> None:
        self.name, self._kind, self._id = name, kind, number
        self._random, self._garnish = random, garnish
        self._messages: list[dict[str, Any]] = []

    def export(self) -> dict[str, Any]:
        return {"name": self.name, "type": self._kind, "id": self._id, "messages": self._messages}

    def service(self, at: datetime, actor: Person, action: str, **more: Any) -> None:
        """Add a service message, e.g. `create_group` or `pin_message`."""
        by = {"actor": actor.name, "actor_id": f"user{actor.id}"}
        self._add("service", at, **by, action=action, **more, text="")

    def say(self, at: datetime, sender: Person, text: str, reply_to: int | None) -> int:
        """Add a message, sometimes with a photo, an edit, entities or a reaction; return its id."""
        more: dict[str, Any] = {} if reply_to is None else {"reply_to_message_id": reply_to}
        if self._random.random() < self._garnish:
            more |= self._garnished(text, at)
        return self._add("message", at, **_from(sender), **{"text": text, **more})

    def between(self, at: datetime, sender: Person) -> None:
        """Add now and then a sticker, a forwarded message or a pin."""
        drawn = self._random.random()
        if drawn < 0.05:
            sticker = {"media_type": "sticker", "sticker_emoji": self._random.choice("😂😎🥲🤔🙈")}
            size = {"file": _NOT_INCLUDED, "width": 512, "height": 512}
            self._add("message", at, **_from(sender), **size, **sticker, text="")
        elif drawn < 0.08:
            news = {"forwarded_from": _CHANNEL, "text": self._random.choice(_NEWS)}
            self._add("message", at, **_from(sender), **news)
        elif drawn < 0.09:
            self.service(at, sender, "pin_message", message_id=max(1, len(self._messages) - 1))

    def _garnished(self, text: str, at: datetime) -> dict[str, Any]:
        kind = self._random.choice(("photo", "edit", "bold", "reaction", "reaction"))
        if kind == "photo":
            return {"photo": _NOT_INCLUDED, "width": 960, "height": 1280}
        if kind == "edit":
            return {f"edited{k[4:]}": v for k, v in _date(at + timedelta(seconds=30)).items()}
        if kind == "bold" and " " in text:
            first, rest = text.split(" ", 1)
            return {"text": [{"type": "bold", "text": first}, f" {rest}"]}
        emoji = self._random.choice("👍❤🔥😁🤣")
        return {"reactions": [{"type": "emoji", "count": 1, "emoji": emoji}]}

    def _add(self, kind: str, at: datetime, **fields: Any) -> int:
        number, text = len(self._messages) + 1, fields["text"]
        parts = text if isinstance(text, list) else [text] if text else []
        entities = [p if isinstance(p, dict) else {"type": "plain", "text": p} for p in parts]
        head = {"id": number, "type": kind, **_date(at)}
        self._messages.append({**head, **fields, "text_entities": entities})
        return number


def _date(at: datetime) -> dict[str, str]:
    return {"date": at.strftime("%Y-%m-%dT%H:%M:%S"), "date_unixtime": str(int(at.timestamp()))}


def _from(sender: Person) -> dict[str, Any]:
    return {"from": sender.name, "from_id": f"user{sender.id}"}


def avtobus(bank: Path, exchanges: int, garnish: float) -> dict[str, Any]:
    """Return a supergroup of commuters, exported as a single chat."""
    random = Random(37)
    chat = Chat("Автобус 37 🚌", "private_supergroup", 1500000037, random, garnish)
    names = [person.name for person in _COMMUTERS if person.name]
    chat.service(_START, _COMMUTERS[0], "create_group", title=chat.name, members=names)
    asker, others = _COMMUTERS[0], list[Person]()
    for moment, goes_on, sides in _exchanges(Bank(bank, random), random, exchanges, "автобус"):
        if not goes_on:
            asker, *others = random.sample(_COMMUTERS, random.choice((2, 4)))
        # who goes on to another subject is who spoke last: an ask answers nothing
        speakers = [asker, random.choice(others)] * 2
        _talk(chat, random, moment, sides, speakers)
        last = speakers[len(sides) - 1]
        others = [person for person in (asker, *others) if person != last]
        asker = last
    return chat.export()


def polkson(bank: Path, exchanges: int, garnish: float) -> dict[str, Any]:
    """Return an account's export: a private chat, a group, and saved messages."""
    random = Random(12)
    private = Chat("Лена", "personal_chat", _FRIENDS[0].id, random, garnish)
    group = Chat("Полка и компания", "private_group", 400000212, random, garnish)
    saved = Chat("", "saved_messages", _POLKSON.id, random, 0.0)
    group.service(_START, _POLKSON, "create_group", title=group.name, members=["Лена", "Рома"])
    chat, friend = private, _FRIENDS[0]
    for moment, goes_on, sides in _exchanges(Bank(bank, random), random, exchanges, "полксон"):
        if not goes_on:
            chat = private if random.random() < 0.6 else group
            friend = _FRIENDS[0] if chat is private else random.choice(_FRIENDS)
        _talk(chat, random, moment, sides, [friend, _POLKSON] * 2)
    saved.say(_START, _POLKSON, "купить дюбели, рулетку и тетрадь для рулетки", None)
    return {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": _POLKSON.id, "first_name": "Полксон"},
        "chats": {
            "about": "This page lists all chats from this export.",
            "list": [saved.export() | {"name": None}, private.export(), group.export()],
        },
    }


def _talk(
    chat: Chat, random: Random, moment: datetime, sides: list[list[str]], speakers: list[Person]
) -> None:
    last = None
    for number, burst in enumerate(sides):
        reply_to = last if number % 2 and random.random() < 0.2 else None
        for text in burst:
            moment += timedelta(seconds=random.randint(4, 50))
            last = chat.say(moment, speakers[number], text, reply_to)
            reply_to = None
    chat.between(moment + timedelta(seconds=40), speakers[len(sides) - 1])


def _exchanges(
    bank: Bank, random: Random, count: int, name: str
) -> Iterator[tuple[datetime, bool, list[list[str]]]]:
    """Yield when each exchange begins, whether it continues the conversation before it, and what is
    said in it. Those at the end, which training holds out, are of phrases of their own.
    """
    moment = _START
    for number in range(count):
        goes_on = number > 0 and random.random() < 0.4
        moment += timedelta(minutes=random.randint(5, 20) if goes_on else random.randint(75, 300))
        sides = bank.exchange(reserved=number >= count * (1 - _HELDOUT_SHARE))
        if random.random() < _CALLED:
            ask = sides[0][0]
            sides[0][0] = f"{name}, {ask[0].lower()}{ask[1:]}"
        yield moment, goes_on, sides
