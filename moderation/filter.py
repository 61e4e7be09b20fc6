"""Moderation of a text: by the word lists of badwords-py, and by what is private in it.

Building a Moderator compiles the word list (a tenth of a second); `check` is pure.
"""

from enum import StrEnum

from badwords import Options, ProfanityFilter
from pydantic import BaseModel, ConfigDict, Field

from moderation.private import mask_private

PRIVATE, PROFANITY = "private", "profanity"
INNOCENT = (
    *("мандат", "оскорблять", "страхуй", "застрахуй", "подстрахуй", "член", "соска", "гей"),
    *("чёрт", "черт", "чорт", "дурак", "дура", "дурачок", "балда", "жопа", "блин"),
)
"""Words that the list takes for obscene and that are not, or that are too mild to matter."""
_OPTIONS = Options(collapse_repeats=True, split_on_punctuation=True)


class Action(StrEnum):
    """What is done with a text. NONE: it is sent as it is."""

    NONE = "none"
    MASKED = "masked"
    BLOCKED = "blocked"


class Policy(BaseModel):
    """What is done with obscene replies, and with those that tell what is private.

    profanity    `blocked` drops the reply, `masked` stars the words, `none` lets it pass
    private      the same for numbers of cards, phones and documents, for e-mail addresses, keys and
                 links with a token
    replacement  what the bot says when every candidate was blocked
    allow        words of the list that this bot may say
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profanity: Action = Action.BLOCKED
    private: Action = Action.BLOCKED
    replacement: str = Field(default="Лучше промолчу.", min_length=1, max_length=500)
    allow: tuple[str, ...] = ()


class Verdict(BaseModel):
    """`text` is what may be sent: unchanged, masked, or empty when blocked."""

    model_config = ConfigDict(frozen=True)

    action: Action
    category: str
    text: str


class Moderator:
    """A policy with its compiled word list."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._words = ProfanityFilter()
        self._words.init(languages=["ru", "en"], options=_OPTIONS)
        self._words.add_whitelist([*INNOCENT, *policy.allow])

    def check(self, text: str) -> Verdict:
        """Return the verdict on a text; a masked one keeps its length."""
        verdict = Verdict(action=Action.NONE, category="", text=text)
        for category, action, mask in (
            (PRIVATE, self.policy.private, mask_private),
            (PROFANITY, self.policy.profanity, self._words.censor),
        ):
            masked = verdict.text if action is Action.NONE else mask(verdict.text)
            if masked != verdict.text:
                if action is Action.BLOCKED:
                    return Verdict(action=action, category=category, text="")
                verdict = Verdict(action=action, category=category, text=masked)
        return verdict
