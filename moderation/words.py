"""Finds obscene and insulting words in a text: also disguised, starred-out or split ones. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from moderation.normalise import Plain
from moderation.policy import Category, Level
from moderation.rules import Rule, rules

_CHUNK = re.compile(r"\S+")
_WORD = re.compile(r"[^\W_]+")
_MARKED = re.compile(r"(?:(?<!\*)\*{2,})?[^\W_](?:.*[^\W_])?\**", re.DOTALL)
"""From the first letter to the last one, with stars beside them."""
_DIGIT = re.compile(r"\d")
_MARKS = r"(?:[_*.#%!@$^&~•=+…|'\"]|[.,]{2})+"
_HIDING = re.compile(_MARKS)
_HIDDEN = re.compile(rf"[^\W_]+(?:{_MARKS}[^\W_]+)*\**|(?<!\*)\*+[^\W_]+")
_TORN = re.compile(r"(?<![^\W_])([^\W\d_]{1,4}(?:\.{2,}|…))\s([^\W\d_]{1,4})(?![^\W_])")
"""Dots for the middle of a word, and its end: «ху… ня»."""
_STAR = re.compile(r"[*#%@$^&•]")
"""Nothing else than letters that are hidden."""
_ALONE = frozenset("аиоуэюя")
"""Letters that are words beside a sentence that ends or begins without a space."""
_LONGEST_CHUNK, _LONGEST_SPLIT, _LONGEST_PART, _MOST_PARTS, _WIDEST_GAP = 64, 12, 5, 6, 3
_BEFORE = re.compile(r"[авикосуя]|вы|да|до|за|из|мы|на|не|ни|но|об|он|от|по|со|то|ты")
_LONGEST_ENDING = 3
"""Letters of what may end a word that begins like one of those: «с ука», and not «и сабля»."""
_LOOKED_BACK = 256
"""Characters: as many as letters that stand apart take at most."""
_TOGETHER, _DRAWN = re.compile(r"[^\W_]{2}"), re.compile(r"(.)\1+")
_LATIN = {
    **{"shch": "щ", "zh": "ж", "ch": "ч", "sh": "ш", "yo": "е", "jo": "е", "ye": "е", "ya": "я"},
    **{"ja": "я", "yu": "ю", "ju": "ю", "kh": "х", "ts": "ц", "ck": "к"},
    **{"ay": "ай", "ey": "ей", "iy": "ий", "oy": "ой", "uy": "уй", "yy": "ый"},
    **dict(
        zip("abcdefghijklmnopqrstuvwxyz013469", "абсдефгхийклмнопкрстуввхызоизчбя", strict=True)
    ),
}
_SYLLABLE = re.compile("|".join(_LATIN))
_LOOK_ALIKES = str.maketrans("abcehkmnoprtuxy03469", "абсенкмпоргтихуозчбя")
_LEET = str.maketrans("0134@$", "oieaas")


@dataclass(frozen=True)
class Hit:
    """Something found between two indices of a text, by a `rule` that counts from a level on."""

    category: Category
    level: Level
    rule: str
    start: int
    end: int


_Found = tuple[int, int, str, Rule]
"""Start and end in the normalised text, how it was read, and what it is."""


def find_words(text: str, plain: Plain, allow: frozenset[str]) -> Iterator[Hit]:
    """Yield what is found in a text and its normalised form; `allow` has normalised words."""
    for find in (_in_chunks, _torn, _split, _phrases):
        for start, end, word, rule in find(plain):
            first, last = plain.at[start], plain.at[end]
            if rule.category is Category.INSULT and _is_disguised(text[first:last], word):
                rule = Rule(Category.PROFANITY, Level.SOFT, f"hidden {rule.name}")
            if rule.level is not Level.OFF and word not in allow:
                yield Hit(*rule, first, last)


def _is_disguised(written: str, word: str) -> bool:
    """What somebody hides is meant as it is said."""
    return not {*written.lower().replace("ё", "е")} <= {*word}


def _phrases(plain: Plain) -> Iterator[_Found]:
    for match in rules().phrases.finditer(plain.look):
        yield match.start(), match.end(), match[0], rules().rule(match)


def _in_chunks(plain: Plain) -> Iterator[_Found]:
    """Look into what stands between spaces."""
    for chunk in _CHUNK.finditer(plain.look):
        begin, end = chunk.span()
        found = _in_chunk(plain.look[begin:end], plain.sound[begin:end])
        yield from ((begin + first, begin + last, word, rule) for first, last, word, rule in found)


@lru_cache(1 << 12)
def _in_chunk(look: str, sound: str) -> tuple[_Found, ...]:
    marked = _MARKED.search(look) if len(look) <= _LONGEST_CHUNK else None
    hidden = [*islice(_in_marked(marked.start(), marked[0]), 1)] if marked else []
    if marked and hidden and _STAR.search(marked[0]):
        return tuple(hidden)
    found = [each for word in _WORD.finditer(look) for each in _in_word(word, sound)]
    return tuple(found or hidden)


def _in_word(word: re.Match[str], sound: str) -> Iterator[_Found]:
    start, end = word.span()
    readings = [*_readings(word[0], sound[start:end])]
    for reading, kind in readings:
        if reading in rules().innocent:
            return
        rule = rules().find(reading, kind)
        if rule and (reading == word[0] or rule.level is Level.SOFT or not word[0].isascii()):
            yield start, end, reading, rule
            return
    for reading, _ in readings:
        if rule := rules().find_misspelt(reading):
            yield start, end, reading, rule
            return


def _readings(look: str, sound: str) -> Iterator[tuple[str, str]]:
    """Yield how a word may be meant; a Latin one is English, or Russian by its sound or looks."""
    yield look, "whole"
    if sound != look:
        yield sound, "whole"
    if look.isascii() and sum(map(str.isalpha, look)) > 1:
        yield look.translate(_LEET), "whole"
        yield _SYLLABLE.sub(lambda part: _LATIN[part[0]], look), "glued"
        yield look.translate(_LOOK_ALIKES), "glued"


def _in_marked(start: int, marked: str) -> Iterator[_Found]:
    """Read what stands between letters as nothing, or as hidden letters."""
    parts = _WORD.findall(marked)
    is_short = len(marked) == len("т.е") and "й" not in parts
    is_chance = is_short or all(
        each in rules().parts and (each in _ALONE or len(each) > 1) for each in parts
    )
    is_sure = _STAR.search(marked)
    if parts == [marked] or "://" in marked or (is_chance and not is_sure):
        return
    joined = "".join(parts)
    rule = rules().find(joined, "glued") or rules().find_misspelt(joined)
    if len(parts) > 1 and rule:
        yield start, start + len(marked), joined, rule
    for hidden in _HIDDEN.finditer(marked):
        if _DIGIT.search(hidden[0]) or (hidden[0].isascii() and not is_sure):
            continue
        for word in _starred_words(hidden[0]):
            rule = rules().find(word, "starred") or rules().find_misspelt(word)
            if "*" in word and rule:
                yield start + hidden.start(), start + hidden.end(), word, rule


def _starred_words(hidden: str) -> Iterator[str]:
    """Yield it with a star for each mark, and with some for all that stand together."""
    yield _HIDING.sub(lambda marks: "*" * len(marks[0]), hidden)
    longest = max(map(len, _HIDING.findall(hidden)), default=0)
    yield from (_HIDING.sub("*" * count, hidden) for count in range(1, min(longest, 2) + 2))


def _torn(plain: Plain) -> Iterator[_Found]:
    for torn in _TORN.finditer(plain.look):
        found = () if torn[2] in rules().parts else _in_marked(0, torn[1] + torn[2])
        yield from ((*torn.span(), word, rule) for _, _, word, rule in found)


def _split(plain: Plain) -> Iterator[_Found]:
    """Read short words in a row as one, unless all of them are ordinary ones."""
    ordinary = rules().parts
    words = [(*word.span(), word[0]) for word in _WORD.finditer(plain.look)]
    for place, (start, before, joined) in enumerate(words):
        if len(joined) > _LONGEST_PART:
            continue
        is_chance = joined in ordinary
        for first, last, part in words[place + 1 : place + _MOST_PARTS]:
            joined += part
            is_far = first - before > _WIDEST_GAP or len(part) > _LONGEST_PART
            if is_far or len(joined) > _LONGEST_SPLIT:
                break
            if len(part) > _LONGEST_ENDING and _BEFORE.fullmatch(joined[: -len(part)]):
                break
            before = last
            is_chance = is_chance and (part in ordinary or joined.startswith("ябы"))  # я бы вешал
            if not is_chance and (rule := _glued(joined, plain.look[start:last])):
                yield start, last, joined, rule
                break


def _glued(joined: str, written: str) -> Rule | None:
    """Return what words mean as one, where none of them is found as it stands."""
    rule = rules().find(joined, "glued") if joined.isalpha() else None
    is_needed = rule and not any(rules().find(each, "whole") for each in _WORD.findall(written))
    return rule if is_needed else None


def unfinished_words_at(text: str, most: int = _LONGEST_SPLIT) -> int:
    """Return where the last words begin that may be parts of one which goes on after the text.

    It has `most` letters at most, or stands letter by letter.
    """
    unfinished, letters = len(text), 0
    for chunk in reversed([*_CHUNK.finditer(text, max(0, len(text) - _LOOKED_BACK))]):
        letters += sum(map(str.isalnum, _DRAWN.sub(r"\1", chunk[0])))
        if letters > most and _TOGETHER.search(chunk[0]):
            break
        unfinished = chunk.start()
    return unfinished
