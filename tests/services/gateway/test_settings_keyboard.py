"""`/settings`: the keyboard, and what pressing it does."""

import itertools
from typing import Any

import pytest

from services.gateway.reasons import ChatSettings
from services.gateway.settings_keyboard import NIGHT, chosen_settings, keyboard
from tests.services.gateway.conftest import TEXTS, World
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
