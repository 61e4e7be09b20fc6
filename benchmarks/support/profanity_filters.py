"""Kept libraries that tell obscene texts; one that is not installed is left out.

`pip install badwords-py detected-profanity python-obscene-words-filter notpotty better-profanity
glin-profanity check-swear`, in an environment of its own: the last wants an older scikit-learn.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

Filter = Callable[[str], bool]


def _badwords(module: Any) -> Filter:
    words = module.ProfanityFilter()
    words.init(languages=["ru", "en"])
    return lambda text: bool(words.is_profane(text))


def _badwords_fuzzy(module: Any) -> Filter:
    words = module.ProfanityFilter()
    words.init(
        languages=["ru", "en"],
        options=module.Options(match_threshold=0.8, collapse_repeats=True, leetspeak=True),
    )
    return lambda text: bool(words.is_profane(text))


def _obscene_words(module: Any) -> Filter:
    words = module.get_default_filter()
    return lambda text: any(True for _ in words.find_bad_word_matches_without_good_words(text))


def _better_profanity(module: Any) -> Filter:
    module.profanity.load_censor_words()
    return lambda text: bool(module.profanity.contains_profanity(text))


def _glin(module: Any) -> Filter:
    words = module.Filter({"languages": ["russian", "english"], "detect_leetspeak": True})
    return lambda text: bool(words.is_profane(text))


def _check_swear(module: Any) -> Filter:
    words = module.SwearingCheck()
    return lambda text: bool(words.predict(text)[0])


_LIBRARIES: tuple[tuple[str, str, Callable[[Any], Filter]], ...] = (
    ("badwords-py", "badwords", _badwords),
    ("badwords-py, fuzzy", "badwords", _badwords_fuzzy),
    ("detected-profanity", "detected_profanity", lambda module: module.contains_profanity),
    ("python-obscene-words-filter", "obscene_words_filter", _obscene_words),
    ("notpotty", "notpotty", lambda module: module.NotPotty().sensor),
    ("better-profanity", "better_profanity", _better_profanity),
    ("glin-profanity", "glin_profanity", _glin),
    ("check-swear", "check_swear", _check_swear),
)


def installed() -> Iterator[tuple[str, Filter | None]]:
    """Yield each library's name and filter, or None where it cannot be used here."""
    for name, module, make in _LIBRARIES:
        try:
            yield name, make(import_module(module))
        except Exception:
            yield name, None
