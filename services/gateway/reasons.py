"""What is decided of a message, and what the decision rests on. Pure."""

from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Reason(StrEnum):
    """Why the bot answers, or why it keeps quiet."""

    PRIVATE = "private"
    MENTION = "mention"
    TEXT_MENTION = "text_mention"
    REPLY = "reply"
    NAME = "name"
    BURST = "burst"
    INSANITY = "insanity"
    CHATTINESS = "chattiness"
    WORDLESS = "wordless"
    LIMIT_TOLD = "limit_told"
    COMMAND = "command"

    OWN = "own"
    CHANNEL = "channel"
    NOT_SERVED = "not_served"
    FOREIGN_COMMAND = "foreign_command"
    BOTS_COMMAND = "bots_command"

    ALBUM = "album"
    NO_TEXT = "no_text"
    EDITED = "edited"
    JOINED = "joined"
    JOINED_UNASKED = "joined_unasked"
    OPTED_OUT = "opted_out"
    MUTED = "muted"
    SILENCED = "silenced"
    LIMITED = "limited"
    BOT_DEPTH = "bot_depth"
    VIA_BOT = "via_bot"
    STALE = "stale"
    QUIET_HOURS = "quiet_hours"
    BUDGET = "budget"
    NOT_ADDRESSED = "not_addressed"


_ALL = list(Reason)
SPEAKS = frozenset(_ALL[: _ALL.index(Reason.OWN)])
"""The bot answers."""
NOT_TALK = frozenset(_ALL[_ALL.index(Reason.COMMAND) : _ALL.index(Reason.ALBUM)])
"""Not part of the conversation: the history does not keep it."""
UNASKED = frozenset({Reason.INSANITY, Reason.CHATTINESS})
"""Answers to messages that were not for the bot; they have a budget."""

BURST_GAP = 15.0
"""Most seconds between two messages of a burst: what one person says to one addressee in a row."""

Minutes = tuple[int, int]


class ChatSettings(BaseModel):
    """What administrators set for a chat or topic.

    insane       it answers everything
    chattiness   the percentage of messages not for it that it answers all the same
    quiet        minutes of the day from which and until which it speaks only when called
    muted_until  unix time until which it answers nothing but commands
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    insane: bool = False
    chattiness: int = 0
    quiet: Minutes | None = None
    muted_until: float = 0.0

    def talks_unasked(self, now: float, zone: tzinfo) -> bool:
        return bool(self.insane or self.chattiness) and not self.is_quiet(now, zone)

    def is_quiet(self, now: float, zone: tzinfo) -> bool:
        """Whether it is one of the quiet hours, which may go over midnight."""
        if self.quiet is None:
            return False
        local, (begin, end) = datetime.fromtimestamp(now, zone), self.quiet
        minute = local.hour * 60 + local.minute
        return begin <= minute < end if begin < end else minute >= begin or minute < end


@dataclass(frozen=True)
class View:
    """What the store knows about a message before it is decided.

    before             why the message was answered or not when it first came; None for a new one,
                       and where it was not for the bot and an edit changes no words
    bots               messages of bots since the last one of a person, this one not counted
    other_bots         how many bots but ours wrote those, the sender of this one counted
    joined             JOINED or JOINED_UNASKED of an earlier message of its sender that waits to be
                       answered together with this one
    album              another part of its album was answered
    answers_in_hour    answers that its sender got within an hour
    commands_in_hour   commands of its sender that were answered within an hour
    limit_told         its sender was told of the limit within that hour
    unasked_in_minute  unasked answers in its chat within a minute
    """

    settings: ChatSettings = field(default_factory=ChatSettings)
    opted_out: bool = False
    before: str | None = None
    bots: int = 0
    other_bots: int = 0
    joined: str | None = None
    album: bool = False
    answers_in_hour: int = 0
    commands_in_hour: int = 0
    limit_told: bool = False
    unasked_in_minute: int = 0
