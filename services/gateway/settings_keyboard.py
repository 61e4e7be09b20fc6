"""`/settings`: the chat's settings as a keyboard for administrators. Pure.

Each button carries the value that it sets, so that one pressed or handled twice has done it once.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from contracts.clock import HOUR
from services.gateway.reasons import ChatSettings, Minutes

NIGHT = (23 * 60, 8 * 60)
_PERCENTAGES = (0, 5, 15, 30, 100)


def keyboard(settings: ChatSettings, now: float, zone: tzinfo = UTC) -> dict[str, Any]:
    """Return an InlineKeyboardMarkup: the settings as they are, each button with what it sets."""
    is_muted, hours = now < settings.muted_until, settings.quiet
    mute = f"Молчу до {local_time(settings.muted_until, zone)}" if is_muted else "Помолчать час"
    percentages = sorted({*_PERCENTAGES, settings.chattiness})
    rows = [
        [_button("Безумие", "insane", settings.insane)],
        [_percentage(each, each == settings.chattiness) for each in percentages],
        [_button("Тихо с {} до {}".format(*_hours(hours or NIGHT)), "quiet", bool(hours))],
        [_button(mute, "mute", is_muted)],
    ]
    return {"inline_keyboard": rows}


def local_time(at: float, zone: tzinfo) -> str:
    """Return the date and the time, rounded up to the minute."""
    whole = datetime.fromtimestamp(at, UTC) + timedelta(seconds=59)
    return f"{whole.astimezone(zone):%d.%m %H:%M}"


def _hours(hours: Minutes) -> list[str]:
    """Return times of day, without minutes where there are none."""
    return [f"{at // 60}:{at % 60:02}" if at % 60 else str(at // 60) for at in hours]


def _button(text: str, name: str, is_on: bool) -> dict[str, str]:
    return {"text": f"{'✅' if is_on else '◻️'} {text}", "callback_data": f"{name}:{int(not is_on)}"}


def _percentage(percent: int, is_on: bool) -> dict[str, str]:
    text = f"{'✅ ' if is_on else ''}{percent} %"
    return {"text": text, "callback_data": f"chattiness:{percent}"}


def chosen_settings(settings: ChatSettings, data: str, now: float) -> ChatSettings | None:
    """Return the settings after a press of the button with that data; None for one not ours."""
    name, _, value = data.partition(":")
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        return None
    number = int(value)
    values: dict[str, dict[str, Any]] = {
        "insane": {"insane": bool(number)},
        "quiet": {"quiet": NIGHT if number else None},
        "mute": {"muted_until": now + HOUR if number else 0.0},
        "chattiness": {"chattiness": min(number, 100), "insane": False},
    }
    return settings.model_copy(update=values[name]) if name in values else None
