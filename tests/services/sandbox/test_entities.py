"""Entities are where Telegram would see them, counted in UTF-16 units."""

import pytest

from services.sandbox.messages import entities, utf16_length

CASES: list[tuple[str, list[tuple[str, str]]]] = [
    ("привет", []),
    ("@avtobus_bot привет", [("mention", "@avtobus_bot")]),
    ("🚌 @avtobus_bot", [("mention", "@avtobus_bot")]),
    ("👨‍👩‍👧🚌@avtobus_bot!", [("mention", "@avtobus_bot")]),
    ("(@avtobus_bot), @polkson_bot", [("mention", "@avtobus_bot"), ("mention", "@polkson_bot")]),
    ("почта a@avtobus_bot", []),
    ("@ab коротко", []),
    ("@avtobus_botы", []),
    ("/start", [("bot_command", "/start")]),
    (
        "🚌 /insanity@avtobus_bot @polkson_bot",
        [
            ("bot_command", "/insanity@avtobus_bot"),
            ("mention", "@polkson_bot"),
        ],
    ),
    ("и/или", []),
    ("https://a.example/start", []),
    ("/старт", []),
    ("/ пусто", []),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_entities_are_found_and_cut_out_right(text: str, expected: list[tuple[str, str]]) -> None:
    found = entities(text)
    assert [(entity.type, entity.extract_from(text)) for entity in found] == expected


def test_an_emoji_is_two_units() -> None:
    assert utf16_length("🚌а") == 3
    assert [(e.offset, e.length) for e in entities("🚌 @avtobus_bot")] == [(3, 12)]
