"""JSON of any size, read value by value in flat memory, and mended where its writer was careless.

What decodes is decoded by the standard library's scanner, a whole value at a time. A value that
does not, or that is longer than LONGEST, costs itself: the reader finds its end by the layout, in
which Telegram Desktop gives each value lines of its own and writes no line break within a string.
What holds the values together has to be right, or the file is refused with the place.
"""

import json
import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from contracts.refusal import Refusal

LONGEST = 1 << 20
"""Letters of a value; one that is longer is not decoded."""
_CHUNK = 1 << 18
_BEFORE = 256
"""Letters kept before the position: the line's indentation, and an end that is not whole yet."""
_JSON = json.JSONDecoder(strict=False)
_BROKEN = (ValueError, RecursionError)
"""What it raises over a value that is broken or not yet read to its end, and one that is too deep.
"""
_SIGN = re.compile(r"[^ \t\n\r\ufeff]")
_DELIMITER = re.compile(r"(?<![ \t\n\r])[ \t\n\r]*+([,:}\]])[ \t\n\r]*+")
_INDENT = re.compile(r"\n[ \t]*+")
_ESCAPE = re.compile(r"(\\[^x])|\\x")
_QUOTE = re.compile(r'(\\.)|"')
_STRAY = re.compile(
    r'^([ \t]*+(?:"\w+":[ \t]*+)?)(?!"\w+":)'
    r'(?!(?:"[^"\\]*+(?:\\.[^"\\]*+)*"|-?\d[\d.eE+-]*|true|false|null),?$)'
    r'(?![{}\[\]])"?(.*?)"?(,?)$',
    re.MULTILINE,
)
"""A line whose value is neither a bracket nor a scalar. No group in it is possessive: Python 3.11.2
finds wrong ends of such groups.
"""


class JsonReader:
    """A position in a file of JSON.

    text, at   what is read of the file, and the position in it
    delimiter  the sign behind the last value; empty at the file's end
    """

    def __init__(self, path: Path, file: IO[bytes], counts: Counter[str]) -> None:
        self.text, self.at, self.delimiter = "", 0, ""
        self._path, self._file, self._counts, self._line = path, file, counts, 1
        self._decoder = getincrementaldecoder("utf-8")()

    def peek(self) -> str:
        """Go to the next sign that is no space and return it; "" at the file's end."""
        while not (found := _SIGN.search(self.text, self.at)):
            self.at = len(self.text)
            if not self._fill():
                return ""
        self.at = found.start()
        return found[0]

    def entries(self) -> Iterator[str]:
        """Yield each key of the object here, or "" for each item of the array here.

        The caller reads the value in between.
        """
        opening = self._take()
        close = {"{": "}", "[": "]"}.get(opening, "")
        self.delimiter = "," if close and self.peek() != close else self._take()
        while self.delimiter == ",":
            yield str(self.value()) if opening == "{" else ""
        if self.delimiter != close:
            raise self.refusal("is broken" if self.peek() else "is cut off")
        self.delimiter = self._take()

    def value(self) -> Any:
        """Return the value here, repaired if need be, and go behind it.

        None, and the reason is counted, where it cannot be read.
        """
        while True:
            try:
                value, end = _JSON.raw_decode(self.text, self.at)
                if found := _DELIMITER.match(self.text, end):
                    self.at, self.delimiter = found.end(), found[1]
                    return value
            except _BROKEN:
                pass
            if len(self.text) - self.at > LONGEST or not self._fill():
                return self._repaired()
            self.peek()

    def refusal(self, why: str) -> Refusal:
        """Return the Refusal of the file that names the place."""
        line = self._line + self.text.count("\n", 0, self.at)
        ahead = len(self.text[self.at :].encode()) + len(self._decoder.getstate()[0])
        place = f"line {line} (byte {self._file.tell() - ahead})"
        return Refusal(f"{self._path}: {why} in {place}; export the chat again, as JSON")

    def _take(self) -> str:
        """Return the next sign and go behind it and the space there."""
        sign = self.peek()
        self.at += len(sign)
        self.peek()
        return sign

    def _fill(self) -> bool:
        """Read on, and let go what lies behind; False at the file's end."""
        kept = max(self.at - _BEFORE, 0)
        chunk = self._file.read(_CHUNK)
        try:
            text = self._decoder.decode(chunk)
        except UnicodeDecodeError as error:
            self.text += error.object[: error.start].decode()
            self.at = len(self.text)
            self._decoder.setstate((error.object[error.start :], 0))
            raise self.refusal("is not UTF-8 (saved by another program?)") from None
        self._line += self.text.count("\n", 0, kept)
        self.text = self.text[kept:] + text
        self.at -= kept
        return bool(chunk)

    def _repaired(self) -> Any:
        """Go behind a value that does not decode, and return it with escapes and quotes repaired.

        Telegram Desktop writes control signs as `\\xNN`, and version 4.1 `document_id` unquoted.
        """
        text, start = self.text, self.at
        indent = "".join(_INDENT.findall(text, max(start - _BEFORE, 0), start)[-1:])
        has_lines = text.startswith(("{\n", "[\n", "{\r", "[\r"), start)
        end = re.compile(indent + r"[}\]](?=\s*+[,}\]])" if has_lines else r"(?=,?\r?\n)")
        while not (found := end.search(self.text, self.at)):
            self.at = max(self.at, len(self.text) - _BEFORE)
            if not self._fill():
                self.at = len(self.text)
                raise self.refusal("is broken or cut off")
        self.at = found.end()
        value, is_whole = text[start : self.at], self.text is text
        self.delimiter = self._take()
        value = _STRAY.sub(_quoted, _ESCAPE.sub(lambda found: found[1] or r"\u00", value))
        try:
            mended, outcome = _JSON.decode(value if is_whole else ""), "repaired_json"
        except _BROKEN:
            mended, outcome = None, "unreadable_json" if is_whole else "too_large"
        self._counts[outcome] += 1
        return mended


def _quoted(line: re.Match[str]) -> str:
    escaped = _QUOTE.sub(lambda found: found[1] or r"\"", line[2])
    return f'{line[1]}"{escaped}"{line[3]}'
