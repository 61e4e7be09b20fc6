"""Decides whether a text may be sent, by a bot's policy.

Building the first one reads the tables beside the code (a tenth of a second).
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from operator import attrgetter

from pydantic import BaseModel, ConfigDict

from moderation.insults import SENTENCE, model
from moderation.links import find_links
from moderation.normalise import Plain, normalise
from moderation.policy import Category, Level, Policy
from moderation.private import find_private, unfinished_at
from moderation.words import Hit, find_words, unfinished_words_at

LIKELY = 1.0
"""Logarithm of the odds from which on a sentence counts as an insult; see docs/decisions.md."""
FEWEST_WORDS = 3
"""Fewer tell too little of a sentence: «не употреблять»."""
HELD_BACK = 16
"""Letters of a growing text that may be the beginning of what is not allowed: telegram точка me."""
_SENTENCE_END = re.compile(r"[.!?]\s|\n")


class Action(StrEnum):
    """What is done with a text. NONE: it is sent as it is."""

    NONE = "none"
    MASKED = "masked"
    BLOCKED = "blocked"


class Verdict(BaseModel):
    """What may be sent of a text, and why not all of it.

    category  the first that was found, in the order of Category; "" where nothing was
    rule      what found it
    spans     what was found in any category, as pairs of indices
    text      unchanged, masked with its length kept, or empty when blocked
    """

    model_config = ConfigDict(frozen=True)

    action: Action
    category: str = ""
    rule: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    text: str


class Moderator:
    """A policy with what it needs to judge by it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._allow = frozenset(normalise(word).look for word in policy.allow)
        denied = "|".join(
            r"\s+".join(map(re.escape, normalise(word).look.split())) for word in policy.deny
        )
        self._held_back = max([HELD_BACK, *map(len, policy.deny)])
        self._deny = re.compile(rf"(?<![^\W_])(?:{denied})(?![^\W_])") if denied else None
        model()
        self.check("")

    def check(self, messages: str | Sequence[str]) -> Verdict:
        """Judge a text, or the messages of one turn as its lines: words may be split over them."""
        text = messages if isinstance(messages, str) else "\n".join(messages)
        return self._verdict(text, self._hits(text))

    def check_growing(self, text: str) -> Verdict:
        """Judge the beginning of a text, as far as nothing that comes later can change it.

        text  ends behind a whole word
        """
        end = self.unfinished_at(text)
        return self._verdict(text[:end], (hit for hit in self._hits(text) if hit.start < end))

    def _verdict(self, text: str, found: Iterable[Hit]) -> Verdict:
        order = list(Category)
        hits = sorted(found, key=lambda hit: (order.index(hit.category), hit.start))
        if not hits:
            return Verdict(action=Action.NONE, text=text)
        is_blocked = any(self.policy.level(hit.category) is Level.STRICT for hit in hits)
        return Verdict(
            action=Action.BLOCKED if is_blocked else Action.MASKED,
            category=hits[0].category,
            rule=hits[0].rule,
            spans=tuple((hit.start, hit.end) for hit in hits),
            text="" if is_blocked else _masked(text, hits),
        )

    def unfinished_at(self, text: str) -> int:
        """Return where what can be judged of a growing text ends: nothing later changes it."""
        if not self._deny and all(self.policy.level(each) is Level.OFF for each in Category):
            return len(text)
        end = min(unfinished_at(text), unfinished_words_at(text, self._held_back))
        if self.policy.level(Category.INSULT) is not Level.STRICT:
            return end
        return max((match.start() for match in _SENTENCE_END.finditer(text, 0, end)), default=0)

    def _hits(self, text: str) -> Iterator[Hit]:
        """Yield what counts at the policy's levels."""
        plain = normalise(text)
        for hit in self._all_hits(text, plain):
            level = self.policy.level(hit.category)
            if level is Level.STRICT or level is hit.level:
                yield hit
        for match in self._deny.finditer(plain.look) if self._deny else ():
            start, end = plain.at[match.start()], plain.at[match.end()]
            yield Hit(Category.PROFANITY, Level.OFF, "deny", start, end)

    def _all_hits(self, text: str, plain: Plain) -> Iterator[Hit]:
        wanted = {each for each in Category if self.policy.level(each) is not Level.OFF}
        if wanted & {Category.PROFANITY, Category.INSULT}:
            words = [*find_words(text, plain, self._allow)]
            yield from words
            if self.policy.level(Category.INSULT) is Level.STRICT:
                yield from _likely(plain, words)
        if Category.PRIVATE in wanted:
            for item in find_private(text):
                yield Hit(Category.PRIVATE, Level.SOFT, item.kind, item.start, item.end)
        if Category.LINK in wanted:
            for start, end in find_links(text):
                yield Hit(Category.LINK, Level.SOFT, "link", start, end)


_start = attrgetter("start")


def _likely(plain: Plain, words: Sequence[Hit]) -> Iterator[Hit]:
    """Yield the sentences that probably insult."""
    words = sorted(words, key=_start)
    for sentence in SENTENCE.finditer(plain.look):
        start, end = plain.at[sentence.start()], plain.at[sentence.end()]
        first, last = (bisect_left(words, index, key=_start) for index in (start, end))
        is_long = len(sentence[0].split()) >= FEWEST_WORDS
        if is_long and model().score(sentence[0], words[first:last]) > LIKELY:
            yield Hit(Category.INSULT, Level.STRICT, "sentence", start, end)


def _masked(text: str, hits: Sequence[Hit]) -> str:
    masked = list(text)
    for hit in hits:
        for index in range(hit.start, min(hit.end, len(text))):
            if not text[index].isspace():
                masked[index] = "*"
    return "".join(masked)
