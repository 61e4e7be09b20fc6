"""`/settings`: the chat's settings as a keyboard for administrators. Pure.

Each button carries the value that it sets, so that one pressed or handled twice has done it once.
"""

from typing import Any

from services.gateway.reasons import ChatSettings

NIGHT = (23 * 60, 8 * 60)
_PERCENTAGES = (0, 5, 15, 30, 100)
_HOUR = 3600.0


def keyboard(settings: ChatSettings, now: float) -> dict[str, Any]:
    """Return an InlineKeyboardMarkup: the settings as they are, each button with what it sets."""
    is_muted, is_quiet = now < settings.muted_until, bool(settings.quiet)
    rows = [
        [_button("Безумие", "insane", settings.insane)],
        [_percentage(each, each == settings.chattiness) for each in _PERCENTAGES],
        [_button("Тихо с 23 до 8", "quiet", is_quiet)],
        [_button("Помолчать час", "mute", is_muted)],
    ]
    return {"inline_keyboard": rows}


def _button(text: str, name: str, is_on: bool) -> dict[str, str]:
    return {"text": f"{'✅' if is_on else '◻️'} {text}", "callback_data": f"{name}:{int(not is_on)}"}


def _percentage(percent: int, is_on: bool) -> dict[str, str]:
    text = f"{'✅ ' if is_on else ''}{percent} %"
    return {"text": text, "callback_data": f"chattiness:{percent}"}


def chosen_settings(settings: ChatSettings, data: str, now: float) -> ChatSettings | None:
    """Return the settings after a press of the button with that data; None for one not ours."""
    name, _, value = data.partition(":")
    if not (value.isascii() and value.isdigit()):
        return None
    number = int(value)
    values = {
        "insane": ("insane", bool(number)),
        "quiet": ("quiet", NIGHT if number else None),
        "mute": ("muted_until", now + _HOUR if number else 0.0),
        "chattiness": ("chattiness", min(number, 100)),
    }
    return settings.model_copy(update=dict([values[name]])) if name in values else None
