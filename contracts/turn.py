"""A turn: the value that data sets, prompts, the proto, histories and evaluation have in common.

It knows nothing of Telegram, gRPC or tokenizers.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from unicodedata import category, normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u2065\U0001d159")
"""Fillers of Hangul, braille without a dot, a note head without a head."""
_CONTROLS = ("Cc", "Cf", "Cs")
_C0 = re.compile(r"[\0-\x08\x0e-\x1b\x7f]")


class Role(StrEnum):
    """Who speaks: the persona that the bot imitates, or anybody else."""

    PERSONA = "persona"
    OTHER = "other"


def single_line(text: str) -> str:
    """Return a message with each line break replaced by one space and both ends trimmed, in NFC.

    C0 controls are left out. A message of which nothing can be seen is empty: zero-width and other
    control signs, marks that belong to a letter and have none, and letters and symbols that are
    drawn as a blank.
    """
    text = normalize("NFC", text)
    if not text.isprintable():
        parts = (part.strip() for part in _C0.sub("", text).splitlines())
        text = " ".join(part for part in parts if part)
    return text.strip() if any(map(_is_visible, text)) else ""


def _is_visible(sign: str) -> bool:
    return sign not in _BLANKS and category(sign)[0] not in "MZ" and category(sign) not in _CONTROLS


def _not_empty(text: str) -> str:
    if not (line := single_line(text)):
        raise ValueError("a message must not be empty")
    return line


Message = Annotated[str, AfterValidator(_not_empty)]


class Turn(BaseModel):
    """One speaker's uninterrupted burst of messages.

    speaker   a pseudonym, stable within a conversation
    messages  at least one, in order; line breaks inside a message become spaces
    at        time of the first message, if known
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    speaker: str
    role: Role
    messages: tuple[Message, ...] = Field(min_length=1)
    at: datetime | None = None

    @property
    def is_persona(self) -> bool:
        return self.role is Role.PERSONA

    @property
    def text(self) -> str:
        """Return the messages, a line each."""
        return "\n".join(self.messages)
