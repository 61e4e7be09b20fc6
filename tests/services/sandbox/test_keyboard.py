"""Inline keyboards: kept, shown, changed, pressed, and presses answered once."""

from typing import Any

from aiogram.types import (
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    Message,
)

from tests.services.sandbox.conftest import ANYA, Sandbox, refused

ROWS = [[{"text": "Да", "data": "yes"}], [{"text": "Где?", "data": None}]]


def keyboard(*data: str) -> InlineKeyboardMarkup:
    rows = [[InlineKeyboardButton(text="Да", callback_data=one)] for one in data]
    return InlineKeyboardMarkup(inline_keyboard=rows)


async def press(sandbox: Sandbox, message: Message, data: str = "yes") -> Any:
    """Press a button; returns the query that the bot gets."""
    body = {"chat": "group", "person": "Аня", "message": message.message_id, "data": data}
    number = (await sandbox.post("/api/press", body))["id"]
    query: Any = (await sandbox.avtobus.get_updates(offset=-1))[0].callback_query
    assert query.id == number
    return query


async def test_a_press_reaches_the_bot_and_its_answer_the_person(sandbox: Sandbox) -> None:
    markup = keyboard("yes")
    markup.inline_keyboard.append([InlineKeyboardButton(text="Где?", url="https://a.example")])
    sent = await sandbox.send("Едем?", reply_markup=markup)
    assert sent.reply_markup.model_dump() == markup.model_dump()
    assert (await sandbox.get("/api/state"))["messages"][0]["buttons"] == ROWS
    query = await press(sandbox, sent)
    assert (query.from_user.id, query.data) == (ANYA, "yes")
    assert (query.message.message_id, query.message.text) == (sent.message_id, "Едем?")
    assert not [u for u in await sandbox.polkson.get_updates() if u.callback_query]
    async with sandbox.events() as events:
        assert await sandbox.avtobus.answer_callback_query(query.id, "Поехали", show_alert=True)
        event = await anext(events)
    (logged,) = (await sandbox.get("/admin/log"))["answered"]
    assert event == {"type": "answered", **logged}
    assert (logged["bot"], logged["person"], logged["room"]) == ("avtobus", ANYA, "group")
    assert (logged["query"], logged["text"], logged["alert"]) == (query.id, "Поехали", True)


async def test_a_press_is_answered_once_and_by_its_bot(sandbox: Sandbox) -> None:
    sent = await sandbox.send("Едем?", reply_markup=keyboard("yes"))
    query = await press(sandbox, sent)
    await refused(sandbox.polkson.answer_callback_query(query.id), "query ID is invalid")
    await sandbox.avtobus.answer_callback_query(query.id)
    await refused(sandbox.avtobus.answer_callback_query(query.id), "query is too old")


async def test_a_keyboard_is_changed_and_taken_away(sandbox: Sandbox) -> None:
    sent = await sandbox.send("Едем?", reply_markup=keyboard("a"))
    edited = await sent.edit_reply_markup(reply_markup=keyboard("b"))
    assert edited.text == "Едем?"
    assert edited.reply_markup.model_dump() == keyboard("b").model_dump()
    await refused(sent.edit_reply_markup(reply_markup=keyboard("b")), "not modified")
    await refused(sent.edit_text("Едем?", reply_markup=keyboard("b")), "not modified")
    edited = await sent.edit_text("Едем?")
    assert edited.reply_markup is None
    body = {"chat": "group", "person": "Аня", "message": sent.message_id, "data": "b"}
    await sandbox.refuses("/api/press", body, "button not found")


async def test_other_keyboards_and_long_data_are_refused(untouched: Sandbox) -> None:
    for markup, words in (
        (ForceReply(force_reply=True), "reply_markup"),
        (keyboard("я" * 33), "BUTTON_DATA_INVALID"),
    ):
        await refused(untouched.send("а", reply_markup=markup), words)
