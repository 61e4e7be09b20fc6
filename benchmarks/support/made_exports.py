"""Chat exports of any size as Telegram Desktop writes them: made-up words, the same every time."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

PEOPLE = ("Анна", "Борис", "Вера", "Глеб", "Даша")
PERSONA = "user101"
_BEGIN = 1_600_000_000
_VOWELS, _CONSONANTS = "аеиоуыя", "бвгджзклмнпрстчш"


class _Shape(NamedTuple):
    """`people` writes bursts of up to `burst` messages of `words`, `pause` seconds in between."""

    type: str
    people: tuple[tuple[str, str], ...]
    words: tuple[int, int]
    burst: int
    pause: float
    replies: float


_MEMBERS = tuple((name, f"user{101 + place}") for place, name in enumerate(PEOPLE))
SHAPES = {
    "group": _Shape("private_supergroup", _MEMBERS, (1, 14), 4, 120.0, 0.3),
    "channel": _Shape("public_channel", (("Маяк", "channel55"),), (40, 160), 1, 1800.0, 0.0),
    "one sender": _Shape("private_group", _MEMBERS[:1], (1, 14), 4, 20.0, 0.0),
}


def write_export(path: Path, shape: str, megabytes: float) -> int:
    """Write an export of that size, and return how many messages it has."""
    made, count = SHAPES[shape], 0
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{\n "name": "Двор",\n "type": "{made.type}",\n "id": 555,\n "messages": [')
        for count, message in enumerate(_messages(made), 1):
            file.write(",\n" if count > 1 else "\n")
            text = json.dumps(message, ensure_ascii=False, indent=1)
            file.write("  " + text.replace("\n", "\n  "))
            if count % 100 == 0 and file.tell() > megabytes * 1e6:
                break
        file.write("\n ]\n}\n")
    return count


def _messages(shape: _Shape) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    words, number, at = _vocabulary(chance), 0, float(_BEGIN)
    while True:
        name, sender = chance.choice(shape.people)
        at += chance.expovariate(1 / shape.pause) if shape.burst > 1 else shape.pause
        for _ in range(chance.randint(1, shape.burst)):
            number, at = number + 1, at + chance.randint(1, 20)
            text = _text(words, chance.randint(*shape.words), chance)
            yield {
                "id": number,
                "type": "message",
                "date": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                "date_unixtime": str(int(at)),
                "from": name,
                "from_id": sender,
                **_extras(shape, number, chance),
                "text": text,
                "text_entities": [{"type": "plain", "text": text}] if text else [],
            }


def _text(words: list[str], count: int, chance: random.Random) -> str:
    """Of 100 messages one has no words, ten have a number, and half have a mark."""
    kind = chance.random()
    text = " ".join(chance.choices(words, k=count))
    if kind < 0.5:
        text += chance.choice((".", "?", "!", ")))", ", да", " — нет"))
    return "" if kind > 0.99 else f"{text} {chance.randrange(5000)}" if kind > 0.89 else text


def _extras(shape: _Shape, number: int, chance: random.Random) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if number > 1 and chance.random() < shape.replies:
        extras["reply_to_message_id"] = max(1, number - chance.randint(1, 30))
    if chance.random() < 0.05:
        extras |= {"photo": f"photos/photo_{number}.jpg", "width": 1280, "height": 960}
    return extras


def _vocabulary(chance: random.Random, size: int = 20_000) -> list[str]:
    def word() -> str:
        syllables = range(chance.randint(1, 4))
        return "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in syllables)

    return [word() for _ in range(size)]
