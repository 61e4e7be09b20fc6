"""`/settings`: the keyboard, and what pressing it does."""

import itertools
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.gateway.reasons import ChatSettings
from services.gateway.settings_keyboard import NIGHT, chosen_settings, keyboard
from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.telegram import group, own, person

QUERIES = itertools.count(1)


def press(data: str, who: int = 7) -> dict[str, Any]:
    query = {"id": str(next(QUERIES)), "from": person(who), "chat_instance": "1"}
    return {**query, "message": own("Настройки"), "data": data}


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        ("insane:1", ChatSettings(insane=True)), ("quiet:1", ChatSettings(quiet=NIGHT)),
        ("mute:1", ChatSettings(muted_until=3650.0)),
        ("chattiness:30", ChatSettings(chattiness=30)),
        ("chattiness:900", ChatSettings(chattiness=100)),
        (f"chattiness:{'9' * 5000}", None),
        ("", None), ("insane", None), ("insane:x", None), ("other:1", None),
    ],
)  # fmt: skip
def test_a_button_sets_what_it_says(data: str, settings: ChatSettings | None) -> None:
    assert chosen_settings(ChatSettings(), data, 50.0) == settings


def test_the_keyboard_shows_what_is_set() -> None:
    rows = keyboard(ChatSettings(insane=True, chattiness=15), 0.0)["inline_keyboard"]
    texts = [button["text"] for row in rows for button in row]
    assert [text for text in texts if "✅" in text] == ["✅ Безумие", "✅ 15 %"]
    assert rows[0][0]["callback_data"] == "insane:0"


@pytest.mark.parametrize(
    ("settings", "ticks"),
    [
        (ChatSettings(quiet=(13 * 60, 15 * 60)), ["0 %", "Тихо с 13 до 15"]),
        (ChatSettings(quiet=(1350, 435)), ["0 %", "Тихо с 22:30 до 7:15"]),
        (ChatSettings(chattiness=10), ["10 %"]),
        (ChatSettings(muted_until=7200.0), ["0 %", "Молчу до 01.01 05:00"]),
        (ChatSettings(muted_until=50.0), ["0 %"]),
    ],
)
def test_the_keyboard_ticks_what_holds(settings: ChatSettings, ticks: list[str]) -> None:
    rows = keyboard(settings, 60.0, ZoneInfo("Europe/Moscow"))["inline_keyboard"]
    texts = [button["text"] for row in rows for button in row]
    assert [text.removeprefix("✅ ") for text in texts if "✅" in text] == ticks


INACCESSIBLE = {"chat": {"id": -100, "type": "supergroup"}, "message_id": 5, "date": 0}
PRESSES: list[tuple[str, dict[str, Any], str | None]] = [
    ("a message too old", {"message": INACCESSIBLE}, TEXTS.reopen),
    ("no message", {"message": None}, TEXTS.reopen),
    ("made inline", {"message": None, "inline_message_id": "5"}, TEXTS.reopen),
    ("no data", {"data": None}, TEXTS.reopen),
    ("data of another version", {"data": "mood:7"}, TEXTS.reopen),
    ("data of another type", {"data": 7}, TEXTS.reopen),
    ("nobody known presses", {"from": {"first_name": "Нина"}}, TEXTS.reopen),
    ("a stranger presses", {"from": person(8)}, TEXTS.refused),
    ("a stranger presses what is unknown", {"from": person(8), "data": "?"}, TEXTS.reopen),
    ("somebody who is not served presses", {"from": person(66)}, None),
    ("an administrator presses", {}, None),
]


@cases("more, text", PRESSES)
async def test_every_button_stops_waiting(
    world: World, more: dict[str, Any], text: str | None
) -> None:
    world.configure(deny_users=frozenset({66}))
    world.telegram.administrators.add(7)
    async with world.gateway():
        world.telegram.put_raw(callback_query={**press("insane:1"), **more})
        await world.until(lambda: len(world.telegram.press_answers) == 1)
    assert world.telegram.press_answers[0].get("text") == text


async def test_a_long_text_of_ones_own_lets_the_button_stop_too(world: World) -> None:
    world.configure(texts=TEXTS.model_copy(update={"reopen": "ой" * 500}))
    async with world.gateway():
        world.telegram.put_raw(callback_query=press("mood:7"))
        await world.until(lambda: len(world.telegram.press_answers) == 1)
    assert len(world.telegram.press_answers[0]["text"]) == 200


async def test_an_administrator_opens_the_menu_and_presses(world: World) -> None:
    world.telegram.administrators.add(7)
    async with world.gateway():
        assert await world.ask(group("/settings")) == [TEXTS.settings]
        assert "insane:1" in str(world.telegram.sent[0]["reply_markup"])
        for _ in range(2):  # twice is once
            world.telegram.put_raw(callback_query=press("insane:1"))
        await world.until(lambda: len(world.telegram.press_answers) == 2)
        assert await world.ask(group("сам с собой")) == ["эхо: сам с собой"]
    markup = world.telegram.keyboards[-1]["reply_markup"]
    assert markup["inline_keyboard"][0][0]["text"] == "✅ Безумие"


async def test_others_press_in_vain(world: World) -> None:
    async with world.gateway():
        world.telegram.put_raw(callback_query=press("insane:1", who=8))
        await world.until(lambda: len(world.telegram.press_answers) == 1)
        world.telegram.put(group("ну"))
        await world.counts("decisions_total", reason="not_addressed")
    assert world.telegram.press_answers[0]["text"] == TEXTS.refused
    assert world.telegram.sent == []
    assert world.telegram.keyboards == []
