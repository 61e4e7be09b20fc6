"""From the engine's events to moderated text: the pieces of a stream, and the GenerateResponse.

Knows nothing of RPCs, of the admission queue, or of how versions are loaded.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256

from contracts.answer_words import AnswerWords
from contracts.prompt import PromptFormat, reply_messages
from moderation.moderator import Action, Moderator, Verdict
from protos.generation.v1 import generation_pb2 as pb
from services.generation.engine.engine import Engine
from services.generation.engine.protocol import Completion, EngineEvent
from services.generation.errors import internal_error
from services.generation.model_store import Bot, Version
from services.generation.request import PreparedRequest
from telemetry.logs import logger

FLUSH_SECONDS = 0.05
"""A stream sends new text at most this often."""
_UNDECODED = "\N{REPLACEMENT CHARACTER}"
_REMOVED = dict.fromkeys((*range(9), *range(11, 32), 127, ord(_UNDECODED)))
"""What no message holds: control characters but tab and newline, and bytes that are no UTF-8."""


def clean(text: str) -> str:
    """Remove control characters and what could not be decoded."""
    return text.translate(_REMOVED)


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first stop string, and whether there was one."""
    found = [index for index in map(text.find, stop) if index >= 0]
    return (text[: min(found)], True) if found else (text, False)


def _stop_prefix_length(text: str, stop: Sequence[str]) -> int:
    """Return the length of the longest end of the text that a stop string begins with."""
    lengths = (n for string in stop for n in range(1, len(string)) if text.endswith(string[:n]))
    return max(lengths, default=0)


@dataclass
class ReplyText:
    """Turns a reply's tokens into moderated text: while it grows, or whole.

    fmt   says how a text is split into messages
    ids   of the growing reply; `judged` is the length of its whole words, `sent` of what was sent
    """

    decode: Callable[[list[int]], str]
    stop: Sequence[str]
    moderator: Moderator
    fmt: PromptFormat
    ids: list[int] = field(default_factory=list)
    judged: int = 0
    sent: int = 0
    is_stopped: bool = False
    is_blocked: bool = False

    def candidate(self, completion: Completion) -> pb.Candidate:
        """Return a whole candidate; a blocked one has no messages."""
        text, at_stop = cut_at_stop(clean(self.decode(completion.ids)), self.stop)
        verdict = self.moderator.check(text)
        if verdict.action is not Action.NONE:
            reason = {"category": verdict.category, "rule": verdict.rule}
            digest = sha256(text.encode()).hexdigest()[:16]
            logger().info("moderated", action=verdict.action.value, **reason, text_sha256=digest)
        action = pb.ModerationAction.Value(f"MODERATION_ACTION_{verdict.action.name}")
        stopped = at_stop or completion.stopped
        return pb.Candidate(
            messages=reply_messages(verdict.text, self.fmt),
            finish_reason=pb.FINISH_REASON_STOP if stopped else pb.FINISH_REASON_LENGTH,
            tokens=len(completion.ids),
            moderation=pb.Moderation(action=action, category=verdict.category),
        )

    def add(self, tokens: Sequence[int]) -> str:
        """Take new tokens and return the text that may be sent now, perhaps none."""
        if not tokens:
            return ""
        self.ids += tokens
        whole_characters = self.decode(self.ids).rstrip(_UNDECODED)
        text, self.is_stopped = cut_at_stop(clean(whole_characters), self.stop)
        kept_back = 0 if self.is_stopped else _stop_prefix_length(text, self.stop)
        ready = text[: len(text) - kept_back]
        words_end = 1 + max((at for at, char in enumerate(ready) if char.isspace()), default=-1)
        if words_end <= self.judged:
            return ""
        self.judged = words_end
        return self._sendable(self.moderator.check_growing(ready[:words_end]))

    def finish(self) -> str:
        """Return the rest that may be sent after the last token."""
        text, _ = cut_at_stop(clean(self.decode(self.ids)), self.stop)
        return self._sendable(self.moderator.check(text))

    def _sendable(self, verdict: Verdict) -> str:
        """Return what was not sent yet; nothing more after a block."""
        self.is_blocked = self.is_blocked or verdict.action is Action.BLOCKED
        new = "" if self.is_blocked else verdict.text[self.sent :]
        self.sent += len(new)
        return new


@dataclass
class ResponseBuilder:
    """Reads the engine's events of one request; all times are monotonic, as the engine's are.

    last  the newest event, once `run` has begun
    """

    accepted_at: float
    bot: Bot
    version: Version
    prepared: PreparedRequest
    last: EngineEvent = field(init=False)

    def __post_init__(self) -> None:
        fmt = self.version.manifest.prompt_format
        self.text = ReplyText(self.version.decode, self.prepared.stop, self.bot.moderator, fmt)

    async def run(self, engine: Engine) -> AsyncGenerator[str, None]:
        """Run the request and yield text that may be sent, at most every FLUSH_SECONDS.

        Ends early at a stop string or a block. Raises EngineDown, and Rejection where the engine
        refuses the request.
        """
        ready, sent_at = "", 0.0
        async with aclosing(engine.submit(self.prepared.engine)) as events:
            async for event in events:
                if event.error is not None:  # our fault and not the caller's
                    logger().error("the engine refused a request", reason=event.error)
                    raise internal_error()
                self.last = event
                ready += self.text.add(event.tokens)
                if ready and event.at - sent_at >= FLUSH_SECONDS:
                    yield ready
                    ready, sent_at = "", event.at
                if self.text.is_stopped or self.text.is_blocked:
                    break
        ready += self.text.finish()
        if ready and not self.text.is_blocked:
            yield ready

    def response(self) -> pb.GenerateResponse:
        """Return the whole response after `run` has ended."""
        last = self.last
        candidates = [
            self.text.candidate(each) for each in self._completions() * self.prepared.copies
        ]
        if words := self.version.answer_words:
            candidates = ranked(candidates, words, self.prepared.asked)
        replace_last_if_all_blocked(candidates, self.bot.moderator.policy.replacement)
        return pb.GenerateResponse(
            candidates=candidates,
            model_version=self.version.id,
            prompt_tokens=len(self.prepared.engine.ids),
            turns_used=self.prepared.turns_used,
            timings=pb.Timings(
                queue=max(0.0, last.started_at - self.accepted_at),
                first_token=last.first_token_at - self.accepted_at,
                total=last.at - self.accepted_at,
            ),
        )

    def seconds_per_token(self) -> float | None:
        """Return the mean time a token of the longest candidate, the first token not counted."""
        later = max(len(each.ids) for each in self._completions()) - 1
        return (self.last.at - self.last.first_token_at) / later if later > 0 else None

    def _completions(self) -> tuple[Completion, ...]:
        # no completions: the stream ended early, at a stop string or a block
        return self.last.completions or (Completion(self.text.ids, stopped=True),)


def ranked(
    candidates: Sequence[pb.Candidate], words: AnswerWords, asked: str
) -> list[pb.Candidate]:
    """Return the candidates, those first whose words go best with what was asked."""
    texts = ["\n".join(each.messages) for each in candidates]
    return [candidates[place] for place in words.order(asked, texts)]


def replace_last_if_all_blocked(candidates: Sequence[pb.Candidate], line: str) -> None:
    """Let the bot's own line stand in the last candidate where every one is blocked."""
    if all(each.moderation.action == pb.MODERATION_ACTION_BLOCKED for each in candidates):
        last = candidates[-1]
        last.messages.append(line)
        last.moderation.action = pb.MODERATION_ACTION_REPLACED
