"""What people write after a command."""

from datetime import datetime

import pytest

from services.gateway.arguments import read_hours, read_percent, read_span, read_switch

HOUR, DAY = 3600, 86_400
SPANS: list[tuple[str, float | None]] = [
    ("30m", HOUR / 2), ("2h", 2 * HOUR), ("1 д", DAY), ("15", HOUR / 4), ("90 минут", 1.5 * HOUR),
    ("3 часа", 3 * HOUR), ("на 3 часа.", 3 * HOUR), ("НА ЧАС", HOUR), ("час", HOUR),
    ("полчаса", HOUR / 2), ("на полчаса!", HOUR / 2), ("полтора часа", 1.5 * HOUR),
    ("два часа", 2 * HOUR), ("четыре часа", 4 * HOUR),
    ("один час", HOUR), ("пять минут", HOUR / 12),
    ("1,5 ч", 1.5 * HOUR), ("2 часа и 15 мин", 2.25 * HOUR),
    ("1h30m", 1.5 * HOUR), ("сутки", DAY), ("4\u00a0дня", 4 * DAY), ("неделю", 7 * DAY),
    ("366 дней", 366 * DAY), ("367 дней", None), ("0", None), ("0 часов", None), ("", None),
    ("5 секунд", None), ("навсегда", None), ("часок другой", None), ("2 часа туда", None),
    ("месяц", 30 * DAY), ("на месяц", 30 * DAY), ("2 месяца", 60 * DAY), ("полгода", 182.5 * DAY),
    ("год", 365 * DAY), ("2 года", None), ("полторы недели", 10.5 * DAY), ("две недели", 14 * DAY),
    ("полторы минуты", 90), ("1 week", 7 * DAY), ("2 недели 3 дня", 17 * DAY), ("-5", None),
    ("до 14:30", 1.5 * HOUR), ("до утра", 19 * HOUR), ("до вечера", 5 * HOUR),
    ("до полуночи", 11 * HOUR), ("до 8 утра", 19 * HOUR), ("до 11 вечера", 10 * HOUR),
    ("до 13", None), ("до завтрака", None), ("до 25", None), ("до", None),
]  # fmt: skip
HOURS: list[tuple[str, tuple[int, int] | None]] = [
    ("23-8", (1380, 480)), ("22:30–7:15", (1350, 435)), ("с 22 до 7", (1320, 420)),
    ("22 7", (1320, 420)), ("22:45-6", (1365, 360)), ("С 1 ПО 5", (60, 300)),
    ("со 2 до 6", (120, 360)), ("20-24", (1200, 1440)), ("0-24", (0, 1440)),
    ("с 21:00 до 6.30", (1260, 390)), ("с 22 ч до 7 часов", (1320, 420)),
    ("24-8", (0, 480)), ("8-8", None), ("8", None), ("8:77-9", None), ("25 8", None), ("", None),
    ("с 11 вечера до 8 утра", (1380, 480)), ("с 11:30 вечера до 8", (1410, 480)),
    ("с 11 ночи до 2 дня", (1380, 840)), ("с 12 ночи до 5 часов утра", (0, 300)),
    ("с 12 дня до 6 вечера", (720, 1080)), ("с 10 вечера до утра", (1320, 480)),
    ("с полуночи до 9", (0, 540)), ("с 23 вечера до 8 утра", (1380, 480)),
    ("с 22 до полуночи", (1320, 0)), ("с 25 вечера до 8", None), ("с 8 утра до утра", None),
    ("с 22 до утра или 13", None), ("с 23 до", None), ("до утра", None),
    ("ночью", None), ("с 22 до 7 или 8", None),
    ("с 12 вечера до 8 утра", (0, 480)), ("с 8 до 12 вечера", (1200, 0)),
    ("с 11 дня до 3 дня", (660, 900)), ("с 11 до 3 дня", (660, 900)), ("с 12 дня до 3", (720, 900)),
    ("с 8 до 11 вечера", (1200, 1380)), ("с 9 вечера до 11", (1260, 1380)),
    ("с 9 до 6 вечера", (540, 1080)), ("с 8 утра до 6", (480, 1080)),
    ("с 10 до 8 утра", (1320, 480)), ("с 08:00 до 11 вечера", (480, 1380)),
    ("с 24 до 8", (0, 480)), ("от 23 до 8", (1380, 480)), ("с 1 ночи до 9", (60, 540)),
    ("с 24 до 0", None), ("-8 утра", None), ("с 73 до 99", None),
    ("с 15 утра до 8", None), ("с 7 ночи до 9", None), ("с 12 утра до 3", None),
    ("с 10 вечера до 12 ночи", (1320, 0)), ("с утра до вечера", (480, 1080)),
]  # fmt: skip
PERCENTAGES = [
    ("15", 15), ("15%", 15), ("20 %", 20), ("на 30 процентов", 30), ("1 процент", 1), ("0", 0),
    ("100", 100), ("off", 0), ("выключить", 0), ("101", None), ("много", None), ("-1", None),
    ("", None),
]  # fmt: skip
SWITCHES = [
    ("on", True), ("ВКЛ.", True), ("включить", True), ("включи", True), ("да", True),
    ("off", False), ("выкл", False), ("Выключи!", False), ("отключить", False), ("нет", False),
    ("может", None), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), SPANS)
def test_spans_of_time(text: str, seconds: float | None) -> None:
    assert read_span(text, datetime(2027, 1, 15, 13)) == seconds


@pytest.mark.parametrize(("now", "text", "seconds"), [
    ("23:59:20", "до 24", 40), ("00:00:20", "до 24", DAY - 20), ("12:59:20", "до 13", 40),
    ("12:59:59", "до 13", 1), ("11:05:20", "до 8 утра", 21 * HOUR - 5 * 60 - 20),
])  # fmt: skip
def test_until_a_time_that_is_near(now: str, text: str, seconds: int) -> None:
    assert read_span(text, datetime.fromisoformat(f"2027-01-15T{now}")) == seconds


@pytest.mark.parametrize(("text", "minutes"), HOURS)
def test_hours_of_the_day(text: str, minutes: tuple[int, int] | None) -> None:
    assert read_hours(text) == minutes


@pytest.mark.parametrize(("text", "percent"), PERCENTAGES)
def test_percentages(text: str, percent: int | None) -> None:
    assert read_percent(text) == percent


@pytest.mark.parametrize(("text", "is_on"), SWITCHES)
def test_switches(text: str, is_on: bool | None) -> None:
    assert read_switch(text) is is_on
