"""Finds what is nobody else's business in a text: card numbers, phones, documents, keys and such.

Pure, and about as fast on a hostile text as on any other. A number is told by its checksum, by how
its digits are grouped, or by a word before it, so that dates, prices and scores stay innocent.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from operator import mul
from typing import NamedTuple


class Kind(StrEnum):
    """What an item is. SNILS and INN are Russian numbers, of the insured and of the taxpayer; a
    place is its coordinates.
    """

    KEY = "key"
    LINK = "link"
    EMAIL = "email"
    CARD = "card"
    SNILS = "snils"
    INN = "inn"
    PASSPORT = "passport"
    PHONE = "phone"
    PLACE = "place"


class Item(NamedTuple):
    """A private item between two indices of a text."""

    kind: Kind
    start: int
    end: int


_NAMES = {
    **dict.fromkeys((Kind.SNILS, Kind.INN, Kind.PASSPORT), "документ"),
    **{Kind.KEY: "пароль", Kind.LINK: "ссылка", Kind.EMAIL: "почта", Kind.CARD: "карта"},
    **{Kind.PHONE: "телефон", Kind.PLACE: "место"},
}
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u20e3\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]"
)
"""What is not seen between letters and digits, or makes a keycap of a digit."""
_GAP = r"[\s\-.,/()_·•‐-―−:|*~+]"
_SIGNS = re.compile(r"[\d@＠/_=(\[-](?:(?<![(\[-])|(?<=-)----|(?<=[(\[])[aA][tT])")
"""Without any of them, and without «собака», a text has no item. It begins with a set of signs, for
which a text is searched fast.
"""
_ANYWHERE, _APART = r"(?<!\d)", r"(?<![a-z\d+])(?<![a-z\d]_)"


def _spelled(size: int) -> re.Pattern[str]:
    """Compile a number digit by digit, with the same in each gap: marks and scores vary."""
    digits = rf"\d({_GAP}{{1,4}})\d(?:\2\d){{{size - 2}}}"
    return re.compile(rf"(?<![a-z\d+])(?<!(?<!\d)\d[ ,.-])(?=({digits})(?!\2?\d))")


def _numbers(*shapes: str, before: str = _APART, after: str = r"(?!\d)") -> re.Pattern[str]:
    """Compile a pattern that is tried from each possible start; its group 1 is the number.

    shapes  sizes of the groups of digits: 4-4-4-4 is a card as it is printed. Gaps between groups
            may be left out
    """
    each = (
        f"{_GAP}{{0,4}}".join(rf"\d{{{size}}}" for size in shape.split("-")) for shape in shapes
    )
    return re.compile(rf"{before}(?=({'|'.join(each)}){after})", re.IGNORECASE)


_KEY = re.compile(
    r"(-----BEGIN[A-Z ]{0,40}PRIVATE KEY-----[\w+/=\s]*(?:-----END[A-Z ]{0,40}-----)?"
    r"|(?<!\d)\d{8,10}:AA[\w-]{33}|(?<![\w-])(?:(?:AKIA|ASIA)[0-9A-Z]{16}"
    r"|(?:gh[oprsu]|github_pat|hf|npm|sk_live)_[^\W_]{20,}|glpat-[\w-]{20,}|sk-[\w-]{20,}"
    r"|xox[abeprs]-[\w-]{10,}|AIza[\w-]{35}|ya29\.[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*))",
    re.ASCII,
)
_LINK = re.compile(
    r"(\bt(?:elegram)?\.me/(?:\+|joinchat/)[\w-]{6,}|\btg://join\?invite=[\w-]{6,}"
    r"|\b(?:chat\.whatsapp\.com|discord\.gg)/[\w-]{6,}|://[^\s/:@]{1,64}:[^\s/:@]{1,64}@"
    r"|[?&#](?:(?:[\w-]{0,20}[_-])?(?:token|secret|passw(?:or)?d|pwd|signature|session|jwt)"
    r"|(?:api_?|secret_?)?key|auth|pass|sid|sig|phpsessid|invite)=[^\s&#]{6,})",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?<![\w.+-])([\w.+-]{1,64}(?:([@＠])|\s?[(\[](?:@|at|собака)[)\]]\s?|\s(?:@|собака)\s"
    r"|\s@(?=(?:mail|ya|yandex|gmail|bk|inbox|list)\.))"
    r"(?:[\w-]{1,63}(?:\.|\s(?:точка|dot)\s)){1,5}"
    r"(?(2)[a-zа-я]{2,24}|(?:[a-z]{2,24}|(?:рф|ру|ком)(?![а-яё]))))",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?<![^\W\d_])(?:парол|passw(?:or)?d|pwd|токен|token|ключ(?!ев)|(?:api)?(?<![\d_])key|secret)"
    r"\w{0,6}(?:\s(?!http)\w{1,15}){0,3}[\s:=—–\-\"'«]{1,4}(?!http|[\w.-]{1,63}\.[a-z]{2,6}/)"
    r"(?=\S{0,63}\d)(?=\S{0,63}[a-z])([a-z0-9+/=_.!@#$%^&*~-]{8,})",
    re.IGNORECASE,
)
_DEGREES = (
    r"-?\d{1,3}(?:\.\d{4,10}(?:\s?°)?|\s?°\s?\d\d?(?:[.,]\d{1,6})?\s?['′’]"
    r"(?:\s?\d\d?(?:[.,]\d{1,6})?\s?(?:[\"″”]|['′’]{2}))?)(?:\s?(?:[NSEW]|[сю]\.?\s?ш|[вз]\.?\s?д)\b\.?)?"
)
_BY_COMMA, _BY_SPACE = (
    rf"(?:{between})(?:[NSEW]\s?)?"
    for between in (r"[,;]\s{0,3}|(?:%2C|,)(?:%20|\+)?|!4d", r"\s{1,3}")
)
_PLACE = re.compile(  # of three numbers "a b, c" the last two belong together
    rf"(?<![\d.])({_DEGREES}(?:{_BY_COMMA}{_DEGREES}"
    rf"|{_BY_SPACE}{_DEGREES}(?!\s?[,;]\s{{0,3}}-?\d{{1,3}}\.\d{{4}})))(?![\d.])",
    re.IGNORECASE,
)
_MAP = re.compile(r"\bmap=\d{1,2}/(-?\d{1,2}\.\d{3,10}/-?\d{1,3}\.\d{3,10})(?![\d.])")
_CARD = _numbers("4-4-4-4", "4-6-5", "6-10", before=_ANYWHERE)
_LONG_CARD = _numbers("4-4-4-4-1", "4-4-4-4-2", "4-4-4-4-3", before=_ANYWHERE)
_NAMED_INN = _numbers("12", "10", "4-2-2-2", before=r"\bинн\W{0,3}")
_NUMERO = r",?\s?(?:№|номер)(?:\sпаспорта)?\s?"
_PASSPORT = re.compile(rf"(?<!\d)(?=(\d{{2}}\s?\d{{2}}(?:{_NUMERO}|[\s-]{{1,3}})\d{{6}})(?!\d))")
_NAMED_PASSPORT = re.compile(
    rf"(?:паспорт|passport|сери[яию])\D{{0,20}}"
    rf"(\d{{2}}[\s-]?\d{{2}}(?:{_NUMERO}|[\s,-]{{0,3}})\d{{3}}\s?\d{{3}})(?!\d)",
    re.IGNORECASE,
)
_RUSSIAN_PHONE = _numbers(
    *("1-3-3-2-2", "1-4-2-2-2", "1-3-2-2-3", "3-3-2-2"),
    before=rf"(?:{_APART}|(?<=tel))(?<!\d [+*=×÷^] )(?<!№ )(?<!\bid )(?<!заказ )"
    r"(?!\d{3} \d{3} \d{4}|\d{4} \d{4} \d{3}|[78][348]\d{9})",
    after=r"(?!\d|\s?[=×÷^*]\s?\d)",
)
_PHONE = re.compile(
    r"(?<![\w+])\+\(?((?:(?!\d\d?[./-]\d\d?[./-](?:19|20)\d\d)\d[\s\-.()_·•‐-―−]{0,4}){8,14}\d)(?!\d)"
)
"""Of any country; it ends where a date begins."""
_ISSUER = re.compile(
    r"3[47].{13}\Z|(?=.{16})(?:220[0-4]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[0-8]|4|5[0-8]|6)"
)
"""Of a card: what its number begins with."""
_INN_WEIGHTS = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
"""The last ones are those of the digits before a check digit."""


def _is_card(digits: str) -> bool:
    """Check the issuer's prefix and Luhn's sum; four round prices are no card."""
    doubled = "".join(str(2 * int(digit)) for digit in digits[-2::-2])
    is_sum_right = sum(map(int, digits[::-2] + doubled)) % 10 == 0
    return is_sum_right and digits[3::4] != "0000" and _ISSUER.match(digits) is not None


def _is_snils(digits: str) -> bool:
    total = sum(map(mul, map(int, digits), range(9, 0, -1)))
    return bool(total % 101 % 100 == int(digits[9:]))


def _is_inn(digits: str) -> bool:
    """Check the last digit, or the last two of the twelve that a person's number has."""
    checked = range(9 if len(digits) == 10 else 10, len(digits))
    return all(
        sum(map(mul, _INN_WEIGHTS[-place:], map(int, digits))) % 11 % 10 == int(digits[place])
        for place in checked
    )


def _is_passport(digits: str) -> bool:
    """Tell a series, which has a region and a year, from a year or a price before a sum."""
    is_series = digits[2:4] >= "97" or digits[2:4] <= "35"
    return is_series and digits[:2] not in ("19", "20") and not digits.endswith("00")


def _is_russian_phone(digits: str) -> bool:
    is_shaped = digits[0] == "9" if len(digits) == 10 else re.match("[78][34789]", digits)
    return bool(is_shaped) and _is_phone(digits)


def _is_phone(digits: str) -> bool:
    """Leave out what is free of charge, and so everybody's, and jokes such as +100500100500."""
    return not digits.startswith(("7800", "8800", "0")) and len({*digits}) > 3


_TEXTS = (
    *((Kind.KEY, _KEY), (Kind.KEY, _SECRET), (Kind.LINK, _LINK), (Kind.EMAIL, _EMAIL)),
    *((Kind.PLACE, _PLACE), (Kind.PLACE, _MAP)),
)
_NUMBERS: tuple[tuple[Kind, re.Pattern[str], Callable[[str], bool]], ...] = (
    (Kind.CARD, _CARD, _is_card),
    (Kind.CARD, _LONG_CARD, _is_card),
    (Kind.CARD, _spelled(16), _is_card),
    (Kind.INN, _numbers("12"), _is_inn),
    (Kind.INN, _NAMED_INN, _is_inn),
    (Kind.PASSPORT, _PASSPORT, _is_passport),
    (Kind.PASSPORT, _NAMED_PASSPORT, bool),
    (Kind.PHONE, _RUSSIAN_PHONE, _is_russian_phone),
    (Kind.PHONE, _spelled(11), _is_russian_phone),
    (Kind.PHONE, _PHONE, _is_phone),
    (Kind.SNILS, _numbers("3-3-3-2"), _is_snils),
)
"""Patterns, and what tells a number of that kind from another of the same shape."""
_FEWEST_DIGITS = 9


def find_private(text: str) -> Iterator[Item]:
    """Yield the private items in a text; they may overlap."""
    if not _SIGNS.search(text) and "собака" not in text.lower():
        return
    plain, seen = _UNSEEN.sub("", text), [*range(len(text))]
    if plain != text:
        seen = [index for index in seen if not _UNSEEN.match(text[index])]
    for kind, match in _find(plain):
        yield Item(kind, seen[match.start(1)], seen[match.end(1) - 1] + 1)


def _find(text: str) -> Iterator[tuple[Kind, re.Match[str]]]:
    """Yield kinds and matches in a text without what is not seen."""
    for kind, pattern in _TEXTS:
        for match in pattern.finditer(text):
            yield kind, match
    if len(re.findall(r"\d", text)) < _FEWEST_DIGITS:
        return
    for kind, pattern, is_kind in _NUMBERS:
        for match in pattern.finditer(text):
            digits = [char for char in match[1] if char.isdecimal()]
            if is_kind("".join(str(unicodedata.decimal(digit)) for digit in digits)):
                yield kind, match


def replace_private(text: str, found: Counter[str]) -> str:
    """Put the name of its kind in the place of each private item, and count them by kind."""
    end = len(text)
    for item in sorted(find_private(text), key=lambda item: (-item.end, item.start)):
        if item.end <= end:  # of two that overlap the later one, or the longer one
            found[item.kind] += 1
            end = len(text[: item.start].removesuffix("+"))
            text = f"{text[:end]}[{_NAMES[item.kind]}]{text[item.end :]}"
    return text


_UNFINISHED = re.compile(
    r"(?:-----[A-Z -]{0,60}|\d(?:[\d\W_]|номер|паспорта|[сюшns]\b)*"
    r"|(?<!\S)\S+\s{0,3}(?:[@＠]|[(\[]at\W|[(\[]?собака\W?)\S*(?:\s[@\w.-]+){0,4})\s*\Z",
    re.IGNORECASE,
)
_MOST_UNFINISHED = 200


def unfinished_at(text: str) -> int:
    """Return where a word begins that may begin an item that goes on after the text.

    The last word always may: that of an e-mail address, for one.
    """
    earliest = max(0, len(text) - _MOST_UNFINISHED)
    start, before = len(text.rstrip()), -1
    while start != before:  # something else may be glued to the end of an item
        before = start
        if found := _UNFINISHED.search(text, earliest, start):
            start = found.start()
        while start and not text[start - 1].isspace():
            start -= 1
    return start
