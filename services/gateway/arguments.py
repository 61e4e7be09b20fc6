"""What people write after a command, as they write it: «вкл», «15 %», «2 часа», «с 23 до 8». Pure.

Each function returns None for what it does not understand.
"""

import re
import unicodedata
from datetime import datetime

from contracts.clock import DAY
from services.gateway.reasons import Minutes

_DAY = 24 * 60
_ON = ("on", "1", "yes", "да", "вкл", "включи", "включай", "включить", "включено")
_OFF = ("off", "0", "no", "нет", "выкл", "выключи", "выключай", "выключить", "отключить")
_PERCENT = re.compile(r"(?:на )?(\d{1,3}) ?(?:%|процент\w{0,3})?")
_NUMBERS = {"": "1", "полтора": "1.5", "полторы": "1.5", "пол": "0.5", "один": "1", "одну": "1"}
_NUMBERS |= {"два": "2", "две": "2", "три": "3", "четыре": "4", "пять": "5", "десять": "10"}
_UNITS = {"мес": 30 * DAY, "м": 60, "m": 60, "ч": 3600, "h": 3600, "д": DAY, "d": DAY, "с": DAY}
_UNITS |= {"н": 7 * DAY, "w": 7 * DAY, "г": 365 * DAY}
_SPAN = re.compile(
    rf"(\d{{1,4}}(?:[.,]\d)?|{'|'.join(filter(None, _NUMBERS))}|) ?"
    r"(мес\w{0,4}|м(?:ин\w{0,4})?|m(?:in\w{0,4})?|ч(?:ас\w{0,3})?|h(?:ours?)?|д(?:ень|н\w{0,2})?|d(?:ays?)?"
    r"|сут\w{1,3}|недел\w{1,2}|w(?:eeks?)?|год\w?)(?![^\W\d])[.,]? ?(?:и )?"
)
_PARTS = {"утра": (range(1, 12), 8), "дня": (range(10, 18), 12), "вечера": (range(16, 25), 18)}
_PARTS |= {"ночи": (range(21, 30), 23), "полуночи": (range(24, 25), 24)}
"""The hours of each part of the day, which may go on after 24, and the one that it means alone."""
_TIME = rf"(\d{{0,2}})(?:[:.](\d\d))?(?: ?ч(?:ас\w{{0,2}})?)? ?({'|'.join(_PARTS)}|)"
_CLOCK = re.compile(f"до {_TIME}")
_HOURS = re.compile(rf"(?:с |со |от )?{_TIME}(?: ?[-–—] ?| до | по | ){_TIME}")


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


def read_span(text: str, now: datetime) -> float | None:
    """Return `30m`, «на 2 часа», «до утра» or a number of minutes in seconds, up to a year."""
    words = plain(text).removeprefix("на ")
    if found := _CLOCK.fullmatch(words):
        begin = now.hour * 60 + now.minute
        spans = [(end - begin) % _DAY or end - begin for end in _times(*found.groups())]
        return spans[0] * 60.0 - now.second if any(spans) else None
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
    """Return `23-8` or «с 11 вечера до утра» as minutes of the day.

    Where one time alone names a part of the day, the other is that of two which is nearer to it.
    """
    if not (found := _HOURS.fullmatch(plain(text))):
        return None
    times, is_vague = found.groups(), bool(found[3] or found[6])
    begins, ends = (_times(*each, is_vague=is_vague) for each in (times[:3], times[3:]))
    spans = [(begin % _DAY, end) for begin in begins for end in ends if begin % _DAY != end]
    return min(spans, key=lambda span: (span[1] - span[0]) % _DAY, default=None)


def _times(hour: str, minute: str | None, part: str, *, is_vague: bool = False) -> list[int]:
    """Return the minute of the day meant by «11:30 вечера»; a vague «8» may be either of two."""
    hours, alone = _PARTS.get(part, (range(25), 99))
    said, minutes = int(hour or alone), int(minute or 0)
    step = 12 if said <= 12 and (part or (is_vague and hour[:1] != "0")) else 100
    times = [(each % 24 if part else each) * 60 for each in hours if (each - said) % step == 0]
    return [each + minutes for each in times if minutes < 60 and each + minutes <= _DAY]
