"""`/settings`: the keyboard, and what pressing it does."""

import itertools
import json
from typing import Any

from services.gateway.decision import ChatSettings
from services.gateway.settings_keyboard import NIGHT, chosen_settings, keyboard
from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.telegram import BOT_ID, USERNAME, group, person, private

SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}

QUERIES = itertools.count(1)


def press(data: str, who: int = 7) -> dict[str, Any]:
    chat = {"id": -100, "type": "supergroup", "title": "Салон"}
    message = {"message_id": 500_001, "date": 1, "chat": chat, "from": SELF, "text": "Настройки"}
    query = {
        "id": str(next(QUERIES)),
        "from": person(who),
        "chat_instance": "1",
        "message": message,
    }
    return {**query, "data": data}


def test_a_button_sets_what_it_says() -> None:
    calm = ChatSettings()
    assert chosen_settings(calm, "insane:1", 0.0) == ChatSettings(insane=True)
    assert chosen_settings(calm, "quiet:1", 0.0) == ChatSettings(quiet=NIGHT)
    assert chosen_settings(calm, "mute:1", 50.0) == ChatSettings(muted_until=3650.0)
    assert chosen_settings(calm, "chattiness:30", 0.0) == ChatSettings(chattiness=30)
    assert chosen_settings(calm, "chattiness:900", 0.0) == ChatSettings(chattiness=100)
    assert [chosen_settings(calm, data, 0.0) for data in ("", "insane", "insane:x", "other:1")] == [
        None
    ] * 4


def test_the_keyboard_shows_what_is_set() -> None:
    rows = keyboard(ChatSettings(insane=True, chattiness=15), 0.0)["inline_keyboard"]
    texts = [button["text"] for row in rows for button in row]
    assert [text for text in texts if "✅" in text] == ["✅ Безумие", "✅ 15 %"]
    assert rows[0][0]["callback_data"] == "insane:0"


async def test_an_administrator_opens_the_menu_and_presses(world: World) -> None:
    world.telegram.administrators = {7}
    async with world.gateway():
        world.telegram.put(group("/settings"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        assert "insane:1" in world.telegram.sent[0]["reply_markup"]
        for _ in range(2):  # twice is once
            world.telegram.put_raw(callback_query=press("insane:1"))
        await world.until(lambda: len(world.telegram.press_answers) == 2)
        world.telegram.put(group("сам с собой"))
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == [TEXTS.settings, "эхо: сам с собой"]
    drawn = json.loads(world.telegram.keyboards[-1]["reply_markup"])
    assert drawn["inline_keyboard"][0][0]["text"] == "✅ Безумие"


async def test_others_press_in_vain(world: World) -> None:
    async with world.gateway():
        world.telegram.put_raw(callback_query=press("insane:1", who=8))
        await world.until(lambda: len(world.telegram.press_answers) == 1)
        await world.talk(group("ну"))
        await world.settle()
    assert world.telegram.press_answers[0]["text"] == TEXTS.refused
    assert world.telegram.sent == []
    assert world.telegram.keyboards == []


async def test_in_private_there_is_nothing_to_set(world: World) -> None:
    async with world.gateway():
        world.telegram.put(private("/settings"))
        await world.until(lambda: world.telegram.texts() == [TEXTS.insanity_private])
