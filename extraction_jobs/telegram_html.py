"""Telegram Desktop's HTML export: a chat's messages.html, messages2.html, … in one folder.

Format: `export_output_html.cpp` of Telegram Desktop, whose pages are all of one shape, so that they
are read without a parser. There are no ids of people: a sender is a name, and all deleted accounts
are one. A `joined` message has the sender of the one before, a service message its time.
"""

import html
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from contracts.placeholder import placeholder
from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Found, Message, readable

FILE = re.compile(r"messages(\d{0,9})\.html")
LONGEST = 1 << 20
"""Characters of a message with its tags; what is longer is cut off."""
_START = '<div class="message '
_HEAD = re.compile(r'(service|default)[^">]*?( joined)?" id="message(-?\d{1,18})"')
_DATE = re.compile(
    r'"pull_right date details" title="(..)\.(..)\.(20..) (.{8})(?: UTC)?([^"]{0,6})"'
)
_REPLY = re.compile(r'"reply_to details">[^<]{0,99}<a href="[^"#]{0,99}#go_to_message(\d{1,18})"')
_COMMAND = re.compile(r'<div class="text">\s*<a href="" onclick="return ShowBotCommand')
_VIA = re.compile(r" via @\w+$")
_TAG = re.compile(r"<[^<>]*>")
_MEDIA = re.compile(
    r'class="(?:media clearfix pull_left (?:block_link )?)?'
    r"(?:media_(?!wrap)(\w+)|(photo|sticker|animated|video_file)_wrap)"
)
_KINDS = {"animated": "animation", "file": "document", "venue": "location"}
_TITLES = {"Sticker": "sticker", "Animation": "animation", "Video message": "video_note"}
"""Media that share the class of another kind."""


def read(path: Path, found: Found) -> Iterator[Message]:
    """Yield a chat's messages; give its folder or a file of it. Raises Refusal, OSError."""
    last: Message | None = None
    for file in files(path):
        with file.open(encoding="utf-8-sig", errors="replace") as text:
            blocks = _blocks(text)
            chat = _chat(file, next(blocks))
            for block in blocks:
                message = _message(chat, block, last, found)
                if message:
                    last = message
                    yield message
    if last is None:
        raise Refusal(f"{path}: no message of a Telegram export in it")


def files(path: Path) -> list[Path]:
    """Return the chat's files in their order, of its folder or of one of them."""
    if path.is_file() and not FILE.fullmatch(path.name):
        return [path]
    folder = path if path.is_dir() else path.parent
    found = [(match[1], each) for each in folder.iterdir() if (match := FILE.fullmatch(each.name))]
    return [each for _, each in sorted(found, key=lambda item: int(item[0] or 1))]


def _blocks(file: TextIO) -> Iterator[str]:
    """Yield what stands before the first message, then each message."""
    rest = ""
    while chunk := file.read(1 << 16):
        *whole, rest = (rest[:LONGEST] + chunk).split(_START)
        yield from whole
    yield rest


def _chat(file: Path, head: str) -> Chat:
    folder = readable(file.resolve().parent.name)
    name = _div(head, "text bold") or folder
    # an account's chats, chats/chat_001 and so on, may have the same name
    return Chat(f"{name} ({folder})" if folder.startswith("chat_") else name, name)


def _message(chat: Chat, block: str, last: Message | None, found: Found) -> Message | None:
    """Return the message; None for a day's heading, and for what cannot be read, which counts."""
    head, at = _HEAD.match(block), _seconds(block)
    if head is None or (at is None and head[1] != "service"):
        found.counts["unreadable_date" if head else "unreadable_id"] += 1
        return None
    if (number := int(head[3])) < 0:
        return None
    media = _MEDIA.search(block)
    kind = (media[1] or media[2]) if media else ""
    if head[1] == "service" or kind == "call":
        text, at = _div(block, "body details"), at or (last.at if last else 0.0)
        is_topic = " created topic «" in text
        return Message(chat, number, at, "service", None, None, text, opens_topic=is_topic)
    outer, is_forwarded, inner = block.partition('<div class="forwarded body">')
    name, own = _VIA.subn("", _div(outer, "from_name"))
    author, others = _VIA.subn("", _div(inner, "from_name", "<"))
    via_bot = own + others > 0
    if head[2] and last:
        name, author = name or last.sender or "", author or last.forwarded_from or ""
        via_bot |= last.via_bot
    shown = None if name == "Deleted Account" else name or None
    text, reply = _div(block, "text"), _REPLY.search(block)
    message = Message(chat, number, at or 0.0, "message", name or None, shown, text)
    return message._replace(
        reply_to=int(reply[1]) if reply else None,
        forwarded=bool(is_forwarded),
        forwarded_from=None if author in ("", "Deleted Account") else author,
        via_bot=via_bot,
        media=_placeholder(kind, block),
        is_command=_COMMAND.search(block) is not None,
        is_bot='"bot_buttons_table"' in block,
    )


def _placeholder(kind: str, block: str) -> str:
    if not kind:
        return ""
    kind = kind.removeprefix("live_").removesuffix("_message").removesuffix("_file")
    kind = _TITLES.get(_div(block, "title bold"), _KINDS.get(kind, kind))
    return placeholder(kind, _div(block, "question bold"))


def _seconds(block: str) -> float | None:
    if match := _DATE.search(block):
        day, month, year, time, zone = match.groups()
        with suppress(ValueError):
            text = f"{year}-{month}-{day}T{time}{zone or '+00:00'}"
            return datetime.fromisoformat(text).timestamp()
    return None


def _div(block: str, name: str, end: str = "</div>") -> str:
    """Return the text of the first `div` of a class."""
    inner = block.partition(f'<div class="{name}">')[2].partition(end)[0]
    return html.unescape(_TAG.sub("", inner.replace("<br>", "\n"))).strip()
