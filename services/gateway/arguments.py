"""What people write after a command, as they write it: «вкл», «15 %», «2 часа», «с 23 до 8». Pure.

Each function returns None for what it does not understand.
"""

import re
import unicodedata

from services.gateway.reasons import Minutes

DAY = 86_400
_ON = ("on", "1", "yes", "да", "вкл", "включи", "включай", "включить", "включено")
_OFF = ("off", "0", "no", "нет", "выкл", "выключи", "выключай", "выключить", "отключить")
_PERCENT = re.compile(r"(?:на )?(\d{1,3}) ?(?:%|процент\w{0,3})?")
_NUMBERS = {"": "1", "полтора": "1.5", "пол": "0.5", "один": "1", "два": "2", "три": "3"}
_NUMBERS |= {"пять": "5", "десять": "10"}
_UNITS = {"м": 60, "m": 60, "ч": 3600, "h": 3600, "д": DAY, "d": DAY, "с": DAY, "н": 7 * DAY}
_SPAN = re.compile(
    rf"(\d{{1,4}}(?:[.,]\d)?|{'|'.join(filter(None, _NUMBERS))}|) ?"
    r"(м(?:ин\w{0,4})?|m(?:in\w{0,4})?|ч(?:ас\w{0,3})?|h(?:ours?)?|д(?:ень|н\w{0,2})?|d(?:ays?)?"
    r"|сут\w{1,3}|недел\w{1,2})(?![^\W\d])[.,]? ?(?:и )?"
)
_TIME = r"(\d{1,2})(?:[:.](\d\d))?(?: ?ч(?:ас\w{0,2})?)?"
_HOURS = re.compile(rf"(?:с |со )?{_TIME}(?: ?[-–—] ?| до | по | ){_TIME}")


def plain(text: str) -> str:
    """Return the words in small letters, with one space between them and no mark at the end."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split()).rstrip(" .!")


def read_switch(text: str) -> bool | None:
    return True if plain(text) in _ON else False if plain(text) in _OFF else None


def read_percent(text: str) -> int | None:
    """Return 0 to 100; off is 0."""
    if read_switch(text) is False:
        return 0
    found = _PERCENT.fullmatch(plain(text))
    return int(found[1]) if found and int(found[1]) <= 100 else None


def read_span(text: str) -> float | None:
    """Return `30m`, «полчаса», «на 2 часа» or a number of minutes in seconds, up to a year."""
    words = plain(text).removeprefix("на ")
    if words.isdecimal():
        words += "м"
    if _SPAN.sub("", words):
        return None
    seconds = sum(_number(each[1]) * _UNITS[each[2][0]] for each in _SPAN.finditer(words))
    return seconds if 60 <= seconds <= 366 * DAY else None


def _number(text: str) -> float:
    return float(_NUMBERS.get(text, text).replace(",", "."))


def read_hours(text: str) -> Minutes | None:
    """Return `23-8` or «с 22:30 до 7» as minutes of the day."""
    if not (found := _HOURS.fullmatch(plain(text))):
        return None
    hour, minute, end_hour, end_minute = (int(each or 0) for each in found.groups())
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    is_time = max(minute, end_minute) < 60 and begin < 24 * 60 and end <= 24 * 60
    return (begin, end) if is_time and begin != end else None
