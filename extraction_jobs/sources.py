"""Reads any export there is a source for: a file, the export's folder, or a zip archive of either.

The format is told by the content. Of an archive only what may hold messages is unpacked, into a
folder that is removed again; nothing in it can name a file outside of that folder, or grow to more
than a real archive of texts would.
"""

import json
import re
import zipfile
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from contracts.refusal import Refusal
from extraction_jobs import jsonl, telegram_html, telegram_json, whatsapp
from extraction_jobs.messages import Found, Message

FORMATS: dict[str, ModuleType] = {
    "telegram-json": telegram_json,
    "telegram-html": telegram_html,
    "whatsapp": whatsapp,
    "jsonl": jsonl,
}
_TEXTS = (".json", ".html", ".txt", ".jsonl")
_SKIPPED = re.compile(r"\.|messages[1-9]\d*\.html\Z")
"""Hidden files, and those that the reader of Telegram's HTML finds beside the first one."""
_MESSAGES = re.compile(
    r'(?<!\\)"(?:messages"\s*:\s*\[|(?:chats|left_chats|personal_information)"\s*:\s*\{|about"\s*:\s*")'
)
"""What an export of Telegram begins with, and JSON that lies beside it does not."""
_START = 1 << 16
"""Bytes by which a format is told."""
_MOST = 200
"""Times by which an archive may grow: texts of chats shrink to a tenth."""
_CONVERT = "convert it to JSONL, see docs/export.md"
_FOREIGN = {
    "an archive of another kind: pack it as zip": re.compile(rb"\A(?:Rar!|7z\xbc\xaf|\x1f\x8b)"),
    "a PDF or a picture: export the chat": re.compile(rb"\A(?:%PDF|\x89PNG|\xff\xd8\xff|GIF8)"),
    f"a messenger's database: {_CONVERT}": re.compile(rb"\ASQLite"),
    f"a Discord export: {_CONVERT}": re.compile(rb'"guild":|class="?chatlog'),
    f"a Slack export: {_CONVERT}": re.compile(rb'"client_msg_id":'),
    f"a Matrix export: {_CONVERT}": re.compile(rb'"room_name":|class="?mx_'),
    f"a Signal export: {_CONVERT}": re.compile(rb'"backupTimeMs":|"body":'),
    f"an export of Messenger or Instagram: {_CONVERT}": re.compile(rb'"timestamp_ms":'),
    f"a VK export: {_CONVERT}": re.compile(rb'"peer_id":|class="?message__header'),
    "an export of tdl: export the chat with Telegram Desktop": re.compile(rb'"date":\d'),
}
"""By what a file begins with, or by keys and classes, which no text within JSON or HTML looks like;
without the spaces."""


def read(path: Path, found: Found, scratch: Path | None = None) -> Iterator[Message]:
    """Yield an export's messages.

    scratch  a folder for what is unpacked, which needs as much room; without it, the system's

    Raises Refusal.
    """
    try:
        if path.is_dir():
            yield from _read_folder(path, found)
        elif _start(path).startswith((b"PK\x03\x04", b"PK\x05\x06")):
            with TemporaryDirectory(dir=scratch) as unpacked:
                folder = Path(unpacked) / path.stem  # which may name the chat
                _unpack(path, folder)
                try:
                    yield from _read_folder(folder, found)
                except Refusal as refusal:
                    raise Refusal(str(refusal).replace(str(folder), str(path))) from None
        else:
            yield from FORMATS[recognise(path)].read(path, found)
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror})") from None


def recognise(path: Path) -> str:
    """Return a file's format. Raises Refusal, with what it is, where there is no source for it."""
    start = _start(path)
    text = start.decode("utf-8-sig", "replace").lstrip()
    if any(map(_is_jsonl, text.split("\n"))):
        return "jsonl"
    if text.startswith("<") and '<div class="history">' in text:
        return "telegram-html"
    if any(map(whatsapp.HEADER.match, text.split("\n"))):
        if 8 * text.count("\ufffd") > len(text):
            raise Refusal(f"{path}: this text is not in UTF-8: save it as UTF-8")
        return "whatsapp"
    compact = b"".join(start.split())
    for what, mark in _FOREIGN.items():
        if mark.search(compact):
            raise Refusal(f"{path}: this is {what}")
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise Refusal(f"{path}: this text is in UTF-16: save it as UTF-8")
    if b"{" in compact[:4] and _MESSAGES.search(text):
        return "telegram-json"
    if not text.strip("\0"):
        raise Refusal(f"{path}: is empty; export the chat again")
    raise Refusal(f"{path}: no export of Telegram or WhatsApp, nor JSONL; see docs/export.md")


def _is_jsonl(line: str) -> bool:
    """Whether a line is a message of our schema: Telegram's have a `date` and no `at`."""
    if line.startswith('{"at": '):  # as they are written here, which may be longer than the start
        return True
    try:
        raw = json.loads(line) if line.startswith("{") else None
    except (ValueError, RecursionError):
        return False
    return isinstance(raw, dict) and ("at" in raw or ("text" in raw and "date" not in raw))


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_START)


def text_files(folder: Path) -> list[Path]:
    """Return the files in a folder that may hold messages."""
    return sorted(path for path in folder.rglob("*") if _is_text(path.name) and path.is_file())


def _read_folder(folder: Path, found: Found) -> Iterator[Message]:
    """Read every export in a folder; other files may be attachments. JSON goes before HTML."""
    chosen, refusal = list[tuple[str, Path]](), Refusal(f"{folder}: no export in it")
    for path in text_files(folder):
        if not _SKIPPED.match(path.name):
            try:
                chosen.append((recognise(path), path))
            except Refusal as error:
                refusal = error
    formats = {each for each, _ in chosen}
    if "telegram-json" in formats:
        formats.discard("telegram-html")
    if not formats:
        raise refusal
    for each, path in chosen:
        if each in formats:
            yield from FORMATS[each].read(path, found)


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the texts of an archive; links become files, and `..` in names is ignored."""
    broken = zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, ValueError
    try:
        # names without a mark are of Windows in Russian, which is how people pack folders
        with zipfile.ZipFile(path, metadata_encoding="cp866") as archive:
            texts = [each for each in archive.infolist() if _is_text(each.filename)]
            grown = sum(each.file_size for each in texts)
            if grown > _MOST * max(path.stat().st_size, _START):
                raise Refusal(f"{path}: grows to {grown} bytes, more than chats do; unpack it")
            archive.extractall(folder, texts)
    except broken as error:
        raise Refusal(f"{path}: the archive is broken or encrypted ({error})") from None
    except OSError as error:  # of the disk, or of bzip2
        where, why = folder.parent.parent, error.strerror or error
        raise Refusal(f"{path}: cannot be unpacked in {where} ({why})") from None


def _is_text(name: str) -> bool:
    return name.casefold().endswith(_TEXTS)
