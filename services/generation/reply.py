"""Token ids to moderated replies. Pure, but for the tokenizer and the word list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from contracts.prompt import PromptFormat, reply_messages
from moderation import Action, Moderator
from protos.generation.v1 import generation_pb2 as pb
from services.generation.engine import Finish

Decode = Callable[[list[int]], str]

ACTIONS = {
    Action.NONE: pb.MODERATION_ACTION_NONE,
    Action.MASKED: pb.MODERATION_ACTION_MASKED,
    Action.BLOCKED: pb.MODERATION_ACTION_BLOCKED,
}
_REASONS = {Finish.STOP: pb.FINISH_REASON_STOP, Finish.LENGTH: pb.FINISH_REASON_LENGTH}
_PARTIAL = "\N{REPLACEMENT CHARACTER}"
_DIRT = dict.fromkeys((*range(9), *range(11, 32), 127, ord(_PARTIAL)))
"""What no message holds: control characters but tab and newline, and bytes that were no UTF-8."""


def clean(text: str) -> str:
    """The text without control characters and without what could not be decoded."""
    return text.translate(_DIRT)


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string, and whether there was one."""
    ends = [place for place in map(text.find, stop) if place >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def _could_grow_into_stop(text: str, stop: Sequence[str]) -> int:
    """Length of the longest end of the text that a stop string begins with."""
    return max(
        (
            length
            for string in stop
            for length in range(1, min(len(string), len(text) + 1))
            if text.endswith(string[:length])
        ),
        default=0,
    )


@dataclass
class TextStream:
    """One candidate's text as it grows: released in whole words, moderated before it leaves.

    `blocked` or `stopped` true means that no more tokens are needed.
    """

    decode: Decode
    stop: Sequence[str]
    moderator: Moderator
    ids: list[int] = field(default_factory=list)
    sent: int = 0
    stopped: bool = False
    blocked: bool = False

    def add(self, tokens: Sequence[int]) -> str:
        """Take new tokens; returns text that may be sent, perhaps none."""
        self.ids += tokens
        whole_characters = self.decode(self.ids).rstrip(_PARTIAL)
        text, self.stopped = cut_at_stop(clean(whole_characters), self.stop)
        held = 0 if self.stopped else _could_grow_into_stop(text, self.stop)
        ready = text[: len(text) - held]
        boundary = max((place for place, char in enumerate(ready) if char.isspace()), default=0)
        return self._release(ready[:boundary])

    def finish(self) -> str:
        """The rest that may be sent after the last token."""
        text, _ = cut_at_stop(clean(self.decode(self.ids)), self.stop)
        return self._release(text)

    def _release(self, text: str) -> str:
        if len(text) <= self.sent or self.blocked:
            return ""
        verdict = self.moderator.check(text)
        self.blocked = verdict.action is Action.BLOCKED
        released = verdict.text[self.sent :]
        self.sent = max(self.sent, len(verdict.text))
        return released


def candidate(
    text: str,
    tokens: int,
    finish: Finish,
    stop: Sequence[str],
    fmt: PromptFormat,
    moderator: Moderator,
) -> pb.Candidate:
    """One moderated candidate; a blocked one has no messages."""
    text, at_stop = cut_at_stop(clean(text), stop)
    verdict = moderator.check(text)
    return pb.Candidate(
        messages=reply_messages(verdict.text, fmt),
        finish_reason=pb.FINISH_REASON_STOP if at_stop else _REASONS[finish],
        tokens=tokens,
        moderation=pb.Moderation(action=ACTIONS[verdict.action], category=verdict.category),
    )


def replace_last_if_all_blocked(candidates: Sequence[pb.Candidate], line: str) -> None:
    """Where every candidate is blocked the last becomes the bot's own line."""
    if all(each.moderation.action == pb.MODERATION_ACTION_BLOCKED for each in candidates):
        last = candidates[-1]
        last.messages.append(line)
        last.moderation.action = pb.MODERATION_ACTION_REPLACED
