"""The forms in which a bot's names may be said: автобус, автобуса, автобусом."""

from collections.abc import Iterable, Iterator
from itertools import product
from unicodedata import normalize

from pymorphy3 import MorphAnalyzer

_CASES = ("nomn", "gent", "datv", "accs", "ablt", "loct", "voct")
"""OpenCorpora's; voct is how friends call: Вась."""


def name_forms(names: Iterable[str]) -> tuple[str, ...]:
    """All case forms of each name, its own first; the words of one name are in the same case.

    A word that the dictionary does not know is declined as words like it are, in every such way;
    one that is not Russian stays as it is.
    """
    analyzer = MorphAnalyzer()
    composed = (normalize("NFC", name) for name in names)
    return tuple(dict.fromkeys(form for name in composed for form in _forms(name, analyzer)))


def _forms(name: str, analyzer: MorphAnalyzer) -> Iterator[str]:
    yield name
    for case in _CASES:
        words = [_cased(word, case, analyzer) or [word] for word in name.split()]
        yield from map(" ".join, product(*words))


def _cased(word: str, case: str, analyzer: MorphAnalyzer) -> list[str]:
    """The word in that case, in each way in which it can be a name; none where it cannot."""
    parses = (each for each in analyzer.parse(word) if each.tag.POS in ("NOUN", "ADJF"))
    forms = (each.inflect({case}) for each in parses if each.tag.case == "nomn")
    return list(dict.fromkeys(form.word for form in forms if form))
