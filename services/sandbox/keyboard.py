"""Inline keyboards: which are taken, which buttons a message has, which presses wait for an answer.

Pure. Of the kinds of buttons only those with data can be pressed.
"""

from dataclasses import dataclass

from aiogram.types import InlineKeyboardMarkup, Message

from services.sandbox.errors import Refused, bad_request
from services.sandbox.rooms import BotAccount, Room

MAX_DATA_BYTES = 64


def accepted_markup(markup: object) -> InlineKeyboardMarkup | None:
    """The keyboard as it is kept; an empty one is none."""
    if markup is None:
        return None
    if not isinstance(markup, InlineKeyboardMarkup):
        raise bad_request("unsupported reply_markup")
    for row in markup.inline_keyboard:
        for button in row:
            if len((button.callback_data or "").encode()) > MAX_DATA_BYTES:
                raise bad_request("BUTTON_DATA_INVALID")
    return markup if any(markup.inline_keyboard) else None


def buttons(message: Message) -> list[list[dict[str, str | None]]]:
    """Rows of {text, data}; data is None where a button cannot be pressed."""
    rows = message.reply_markup.inline_keyboard if message.reply_markup else []
    return [[{"text": b.text, "data": b.callback_data} for b in row] for row in rows]


def has_button(message: Message, data: str) -> bool:
    return any(button["data"] == data for row in buttons(message) for button in row)


@dataclass(frozen=True)
class Press:
    room: Room
    bot: BotAccount
    person: int


class Presses:
    """Presses that bots have not answered yet; `first_id` is what their ids count from."""

    def __init__(self, first_id: int) -> None:
        self._last = first_id
        self._open: dict[str, Press] = {}

    def expect(self, number: str, press: Press) -> None:
        self._open[number] = press

    def add(self, press: Press) -> str:
        self._last += 1
        self._open[str(self._last)] = press
        return str(self._last)

    def answered(self, number: str, bot: BotAccount) -> Press:
        """Answered once, by the bot whose button was pressed."""
        press = self._open.get(number)
        if press is None or press.bot != bot:
            raise stale()
        return self._open.pop(number)


def stale() -> Refused:
    return bad_request("query is too old and response timeout expired or query ID is invalid")
