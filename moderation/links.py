"""Finds links and invitations, also those written so that no program makes them a link."""

import re
from collections.abc import Iterator

_DOT = r"(?:\s?[.,·]\s?|\s?[(\[]\s?(?:dot|точка)\s?[)\]]\s?|\s(?:dot|точка)\s)"
_ZONES = (
    "ru|com|org|net|info|biz|pro|io|me|gg|xyz|online|site|store|shop|club|app|dev|su|ua|by|kz"
    "|рф|рус"
)
_LINK = re.compile(
    rf"\b(?:h..?ps?|ftp|tg|tonsite)://\S+|\bwww\.\S+"
    rf"|\b(?:t|telegram|wa|vk|discord|youtu|bit|clck){_DOT}(?:me|gg|com|be|ly|ru)\s?/\s?\S+"
    rf"|(?<![\w@.-])(?:[a-zа-я0-9][a-zа-я0-9-]{{0,62}}\.){{1,4}}(?:{_ZONES})\b(?:/\S*)?(?!\.\w)",
    re.IGNORECASE,
)


def find_links(text: str) -> Iterator[tuple[int, int]]:
    for match in _LINK.finditer(text):
        yield match.span()
