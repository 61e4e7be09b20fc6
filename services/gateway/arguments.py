"""What people write after a command, as they write it: «вкл», «15 %», «2 часа», «с 23 до 8». Pure.

Each function returns None for what it does not understand.
"""

import re
import unicodedata

from contracts.clock import DAY
from services.gateway.reasons import Minutes

_ON = ("on", "1", "yes", "да", "вкл", "включи", "включай", "включить", "включено")
_OFF = ("off", "0", "no", "нет", "выкл", "выключи", "выключай", "выключить", "отключить")
_PERCENT = re.compile(r"(?:на )?(\d{1,3}) ?(?:%|процент\w{0,3})?")
_NUMBERS = {"": "1", "полтора": "1.5", "полторы": "1.5", "пол": "0.5", "один": "1", "одну": "1"}
_NUMBERS |= {"два": "2", "две": "2", "три": "3", "пять": "5", "десять": "10"}
_UNITS = {"мес": 30 * DAY, "м": 60, "m": 60, "ч": 3600, "h": 3600, "д": DAY, "d": DAY, "с": DAY}
_UNITS |= {"н": 7 * DAY, "w": 7 * DAY, "г": 365 * DAY}
_SPAN = re.compile(
    rf"(\d{{1,4}}(?:[.,]\d)?|{'|'.join(filter(None, _NUMBERS))}|) ?"
    r"(мес\w{0,4}|м(?:ин\w{0,4})?|m(?:in\w{0,4})?|ч(?:ас\w{0,3})?|h(?:ours?)?|д(?:ень|н\w{0,2})?|d(?:ays?)?"
    r"|сут\w{1,3}|недел\w{1,2}|w(?:eeks?)?|год\w?)(?![^\W\d])[.,]? ?(?:и )?"
)
_TIME = r"(\d{1,2})(?:[:.](\d\d))?(?: ?ч(?:ас\w{0,2})?)?"
_PARTS = {"утра": (12, 8), "дня": (0, 12), "вечера": (0, 18), "ночи": (6, 23), "полуночи": (12, 0)}
"""From which of its twelve hours on it is after noon, and the hour that it means alone."""
_PART = re.compile(
    rf"(?:([01]?\d|2[0-4])([:.]\d\d)?(?: ?ч(?:ас\w{{0,2}})?)? ?|\b)({'|'.join(_PARTS)})\b"
)
_HOURS = re.compile(rf"(?:с |со )?{_TIME}(?: ?[-–—] ?| до | по | ){_TIME}")


def plain(text: str) -> str:
    """Return the words in small letters, with one space between them and no mark at the end."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split()).rstrip(" .,!")


def read_switch(text: str) -> bool | None:
    return True if plain(text) in _ON else False if plain(text) in _OFF else None


def read_percent(text: str) -> int | None:
    """Return 0 to 100; off is 0."""
    if read_switch(text) is False:
        return 0
    found = _PERCENT.fullmatch(plain(text))
    return int(found[1]) if found and int(found[1]) <= 100 else None


def read_span(text: str, time: str) -> float | None:
    """Return `30m`, «на 2 часа», «до утра» or a number of minutes in seconds, up to a year.

    `time` is that of the day: 13:05.
    """
    words = plain(text).removeprefix("на ")
    if hours := read_hours(f"{time} {words}") if words.startswith("до ") else None:
        return (hours[1] - hours[0]) % (24 * 60) * 60.0
    if words.isdecimal():
        words += "м"
    if _SPAN.sub("", words):
        return None
    seconds = sum(_seconds(each[1], each[2]) for each in _SPAN.finditer(words))
    return seconds if 60 <= seconds <= 366 * DAY else None


def _seconds(number: str, unit: str) -> float:
    size = next(size for name, size in _UNITS.items() if unit.startswith(name))
    return float(_NUMBERS.get(number, number).replace(",", ".")) * size


def read_hours(text: str) -> Minutes | None:
    """Return `23-8` or «с 11 вечера до утра» as minutes of the day."""
    if not (found := _HOURS.fullmatch(_PART.sub(_of_24, plain(text)))):
        return None
    hour, minute, end_hour, end_minute = (int(each or 0) for each in found.groups())
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    is_time = max(minute, end_minute) < 60 and begin < 24 * 60 and end <= 24 * 60
    return (begin, end) if is_time and begin != end else None


def _of_24(found: re.Match[str]) -> str:
    """Return «11:30 вечера» as 23:30."""
    afternoon, alone = _PARTS[found[3]]
    hour = int(found[1] or alone) % 12
    return f"{hour + 12 * (hour >= afternoon)}{found[2] or ''}"
