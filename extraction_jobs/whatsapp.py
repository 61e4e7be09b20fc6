"""WhatsApp's exported chats: text files as Android and iOS write them, in Russian or English.

    12.03.2023, 18:45 - Анна: текст       Android
    [12.03.2023, 18:45:07] Анна: текст    iOS, which puts U+200E before what the app itself says

A line without such a beginning goes on with the message before, and a line without a name is the
app's own. The order of day, month and year is that of the first date which can be read in one way
only; where there is none the day comes first. Times have no zone and are taken as UTC. Messages
have no ids: theirs grow with time, so that they are the same in a later export of the same chat.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from contracts.placeholder import placeholder
from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Found, Message, readable

LONGEST = 1 << 20
"""Characters of a text; what is longer is cut off."""
_S = "[ \u00a0\u202f]"
HEADER = re.compile(
    rf"[\u200e\u200f\ufeff]{{0,4}}(\[?)((?:20)?\d{{1,2}})[./-](\d{{1,2}})[./-]((?:20)?\d\d),?{_S}"
    rf"(\d{{1,2}})[:.](\d\d)(?:[:.](\d\d))?(?:{_S}?([ap])\.?{_S}?m\.?)?(?:\]{_S}?|{_S}[-–]{_S})",
    re.IGNORECASE | re.ASCII,
)
"""How the first line of a message begins."""
_YEAR_FIRST, _MONTH_FIRST, _DAY_FIRST = (2, 3, 4), (4, 2, 3), (4, 3, 2)
"""The header's groups of year, month and day."""
_MARKS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_NAME = re.compile(r"^(?:WhatsApp Chat (?:with|-)|Чат WhatsApp(?: с контактом| с| -)) | \(\d+\)$")
"""What a file's name has beside the chat's."""
_EVENT = re.compile(" (?:changed|created|added|removed|pinned|измени|созда|добави|удали|закрепи)")
"""Stands in the app's own line, before a colon in the name of a group."""
_EDITED = re.compile(
    r"(?i)\s?\u200e?<(?:[\w ]{0,20}message [\w ]{0,9}edited|(?:это )?сообщение изменено)>\s*\Z"
)
_SERVICE = re.compile(
    r"(?i)(?:this message was deleted|you deleted this message|(?:данное|это) сообщение удалено"
    r"|вы удалили (?:данное|это) сообщение)(?: [^\n]{1,80})?\.?"
    r"|(?:waiting for this message\.|missed (?:group )?(?:voice|video) call|ожидание сообщения\."
    r"|пропущенный (?:групповой )?(?:аудио|видео|голосовой )(?:звонок|вызов))[^\n]{0,80}"
)
_OMITTED = re.compile(
    r"(?i)\A<?(?:(.{1,40}) (?:omitted|отсутствует|опущен[оа]?)|без медиафайлов|null)>?\.?"
)
_ATTACHED = re.compile(r"<(?:attached|прикреплено|вложение): ([^<>\n]{1,300})>")
_FILE = re.compile(r"\A(.{1,300}) \((?:file attached|файл (?:добавлен|прикреплен))\)(?:\n|\Z)")
_PLACE = re.compile(r"(?:[\w ]{1,40}: )?https://maps\.google\.com/\?q=[\d.,+-]+")
_KINDS = {
    "photo": "image photo изображение фото jpg jpeg png heic",
    "video": "video видео mp4 mov 3gp",
    "video_note": "video_note видеозаметка видеосообщение",
    "voice": "audio voice_message аудио аудиофайл opus",
    "audio": "mp3 m4a aac",
    "sticker": "sticker стикер webp",
    "animation": "gif",
    "document": "document file документ файл",
    "contact": "contact_card контакт карточка_контакта контактная_карточка vcf",
}
"""What WhatsApp calls media that it left out, and the ends of files' names."""
_KIND = {word: kind for kind, words in _KINDS.items() for word in words.split()}


def read(path: Path, found: Found) -> Iterator[Message]:
    """Yield a chat's messages, in the order of the file. Raises Refusal, OSError."""
    stem = path.resolve().parent.name if path.stem == "_chat" else path.stem
    name, number = _NAME.sub("", unicodedata.normalize("NFC", readable(stem))), 0
    order = _order(path)
    for header, body in _entries(path):
        if (at := _time(header, order)) is None:
            found.counts["unreadable_date"] += 1
        else:
            number = max(number + 1, int(at) * 1000)
            yield _message(Chat(name, name), number, at, body)


def _entries(path: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Yield the header and the rest of each message; headers are all of the first one's style."""
    header, parts, size = None, list[str](), 0
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for line in iter(partial(file.readline, LONGEST), ""):
            match = HEADER.match(line)
            if match and (header is None or match[1] == header[1]):
                if header:
                    yield header, "".join(parts)
                header, parts, size = match, [], 0
                line = line[match.end() :]
            if size < LONGEST:
                parts.append(line)
                size += len(line)
    if header:
        yield header, "".join(parts)


def _order(path: Path) -> tuple[int, int, int]:
    header = None
    for header, _ in _entries(path):
        first, second = int(header[2]), int(header[3])
        if max(first, second) > 12:
            return _YEAR_FIRST if first > 31 else _DAY_FIRST if first > 12 else _MONTH_FIRST
    if header is None:
        raise Refusal(f"{path}: no line begins like a message of WhatsApp's exported chats")
    return _DAY_FIRST


def _time(header: re.Match[str], order: tuple[int, int, int]) -> float | None:
    year, month, day = (int(header[group]) for group in order)
    hour, minute, second = (int(header[group] or 0) for group in (5, 6, 7))
    if header[8]:
        hour = hour % 12 + 12 * (header[8] in "pP")
    with suppress(ValueError):
        year = year % 100 + 2000
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    return None


def _message(chat: Chat, number: int, at: float, body: str) -> Message:
    line, newline, more = body.partition("\n")
    sender, colon, text = line.partition(": ")
    sender = sender.translate(_MARKS).strip().removeprefix("~").strip()
    if not colon or not sender or _EVENT.search(sender):
        plain = body.translate(_MARKS).strip()
        return Message(chat, number, at, "service", None, None, plain)
    text = _EDITED.sub("", text + newline + more)
    plain = text.translate(_MARKS).strip()
    words, media = _split_media(plain)
    is_service = _SERVICE.fullmatch(plain) or (text.startswith("\u200e") and not media)
    kind = "service" if is_service else "message"
    return Message(chat, number, at, kind, sender, sender, words, media=media)


def _split_media(text: str) -> tuple[str, str]:
    """Return a text's own words, and the placeholder of what stands beside them, if any."""
    if match := _OMITTED.fullmatch(text):
        what = (match[1] or "").casefold().replace(" ", "_")
        if what in _KIND or not what or text.startswith("<"):
            return "", placeholder(_KIND.get(what, "other"))
    if match := _ATTACHED.search(text) or _FILE.match(text):
        kind = "gif" if "GIF-" in match[1] else match[1].rpartition(".")[2].casefold()
        before = text[: match.start()]
        words = text[match.end() :] if "•" in before else before + text[match.end() :]
        return words.strip(), placeholder(_KIND.get(kind, "document"))
    if _PLACE.fullmatch(text):
        return "", placeholder("location")
    if text.startswith(("POLL:\n", "ОПРОС:\n")):
        return "", placeholder("poll", text.split("\n")[1].strip())
    return text, ""
