"""Reads a text as a person does who looks past its disguise. Pure, and as fast on hostile texts.

Letters that only look like others, marks that are not seen, long-drawn letters and letters that
stand apart become plain words in lower case, with ё as е. Of each character that is left it is
known where it stood.

look_alikes.txt  a letter, and characters that look like it: from Unicode's confusables (Unicode
                 License v3) and our own. What Unicode decomposes, or names after a letter (KA WITH
                 DESCENDER), needs no line there
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

_USUAL = re.compile(r"[\n -~А-Яа-яЁё«»„“”–—…№]*")
"""Of such characters none hides another."""
_WRITTEN = (
    (re.compile(r"\}\{|(?<!\S)\)\((?=\w)"), "х"),
    (re.compile(r"\}[|I]\{|(?<!\S)\)[|I]\((?=\w)"), "ж"),
    (re.compile(r"(?<![\d.,])3[.,]?14(?=[^\W\d_])"), "пи"),
)
"""What stands for letters."""
_APART = re.compile(
    r"(?<![^\W_]|[@$€])[^\W\d_](?:(?![.,]{2})[\s.,\-_/|\\]{1,3}[^\W2578_]){2,60}(?![^\W_])"
)
"""Dots in a row stand for letters instead."""
_GAP = re.compile(r"[\s.,\-_/|\\]+")
_DRAWN = re.compile(r"([^\W\d_])\1{2,}")
_MIXED = re.compile(r"(?<![^\W_])(?=[^\W_]*?[@$€a-zA-Z013469])[^\W_](?:[^\W_]|[@$€])*")
_CYRILLIC = re.compile("[А-Яа-яЁё]")
_BIG = str.maketrans("BHPRUY", "внряиу")
_SMALL = "abcdefghijklmnoprstuvwxyz013469@$€"
_LOOK = str.maketrans(_SMALL, "абсдефгнийклмпоргстившхузоизчбяасе")
_SOUND = str.maketrans(_SMALL, "абсдефгхийклмнопрстуввхузолзчбяасе")
_BREVE = "\u0306"
_NAMED = re.compile(r"LETTER (?:SMALL CAPITAL )?([A-Z])\Z")
_LATIN = str.maketrans("асеорхукмтвнАСЕОРХУКМТВН@$", "aceopxykmtbhACEOPXYKMTBHas")
_ALIKE = frozenset("асеорхукмтвнАСЕОРХУКМТВН")
_FOREIGN = re.compile(r"(?![ACEOPXYKMTBHaceopxykmtbh])[a-zA-Z]")
_MOST_PASSES = 4
_Edit = tuple[int, int, str]


class Plain(NamedTuple):
    """A text as it looks, and as it sounds where Latin letters stand among Cyrillic ones.

    Both are equally long; `at` has the index in the original of each of their characters, and at
    its end the original's length.
    """

    look: str
    sound: str
    at: Sequence[int]


def normalise(text: str) -> Plain:
    folded, at = (text, range(len(text) + 1)) if _USUAL.fullmatch(text) else _fold(text)
    plain = _plain(folded, at)
    for _ in range(_MOST_PASSES):  # what was undone may show what else is disguised
        again = _plain(plain.look, plain.at)
        if again.look == plain.look:
            break
        plain = again
    return plain


def _plain(text: str, at: Sequence[int]) -> Plain:
    for pattern, letters in _WRITTEN:
        found = [(*match.span(), letters) for match in pattern.finditer(text)]
        text, at = _edit(text, at, found)
    for find in (_gaps, _repeats):
        text, at = _edit(text, at, [*find(text)])
    return Plain(_cyrillic(text, _BIG, _LOOK), _cyrillic(text, {}, _SOUND), at)


def _fold(text: str) -> tuple[str, Sequence[int]]:
    """Take each character for the letter that it looks like; drop what is not seen."""
    folded, at = list[str](), list[int]()
    for index, char in enumerate(text):
        if char == _BREVE and folded and folded[-1] in "иИ":
            folded[-1] = "й"
        for letter in _letters(char):
            folded.append(letter)
            at.append(index)
    return "".join(folded), [*at, len(text)]


@lru_cache(1 << 10)
def _letters(char: str) -> str:
    if _USUAL.fullmatch(char):
        return char
    if found := _look_alikes().get(char):
        return found
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return ""
    if len(char.lower()) == 1 and char != char.lower():
        return _letters(char.lower())
    base, _, addition = unicodedata.name(char, "").partition(" WITH ")
    named = _NAMED.search(base)
    name = f"LATIN SMALL LETTER {named[1]}" if named else base
    if addition or name != base:
        with suppress(KeyError):
            return _letters(unicodedata.lookup(name))
    simpler = unicodedata.normalize("NFKD", char)
    return char if simpler == char else "".join(map(_letters, simpler))


@cache
def _look_alikes() -> dict[str, str]:
    lines = (Path(__file__).parent / "look_alikes.txt").read_text(encoding="utf-8").splitlines()
    return {each: letter for letter, many in map(str.split, lines) for each in many}


def _edit(text: str, at: Sequence[int], edits: Sequence[_Edit]) -> tuple[str, Sequence[int]]:
    """Replace parts of a text by what is not longer."""
    if not edits:
        return text, at
    parts, left, before = list[str](), list[int](), 0
    for start, end, new in edits:
        parts += text[before:start], new
        left += [*at[before : start + len(new)]]
        before = end
    return "".join((*parts, text[before:])), [*left, *at[before:]]


def _gaps(text: str) -> Iterator[_Edit]:
    for match in _APART.finditer(text):
        for gap in _GAP.finditer(text, match.start(), match.end()):
            yield gap.start(), gap.end(), ""


def _repeats(text: str) -> Iterator[_Edit]:
    for match in _DRAWN.finditer(text):
        yield match.start() + 1, match.end(), ""


def _cyrillic(text: str, big: dict[int, int], small: dict[int, int]) -> str:
    """Read each word in Cyrillic that has a letter of it, unless it can only be a Latin one."""

    def read(match: re.Match[str]) -> str:
        word = match[0]
        cyrillic = _CYRILLIC.findall(word)
        if not cyrillic or (_ALIKE.issuperset(cyrillic) and _FOREIGN.search(word)):
            return word.translate(_LATIN)
        return word.translate(big).lower().translate(small)

    return _MIXED.sub(read, text).lower().replace("ё", "е")
