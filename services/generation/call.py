"""One request from acceptance to its response."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from protos.generation.v1 import generation_pb2 as pb
from services.generation.engine import Engine, EngineDown, Event, Finish
from services.generation.model_store import Bot, Version
from services.generation.reply import TextStream, candidate, replace_last_if_all_blocked
from services.generation.request import FLUSH_SECONDS, Prepared


class JobFailed(Exception):
    """The engine refused the job: our fault, not the caller's."""


@dataclass
class Call:
    """`accepted_at` and the events' times are of the same monotonic clock.

    first_token_at  None where several candidates are drawn: nothing of them is read before the end
    """

    accepted_at: float
    bot: Bot
    version: Version
    prepared: Prepared
    first_token_at: float | None = None
    last: Event | None = None
    stream: TextStream = field(init=False)

    def __post_init__(self) -> None:
        self.stream = TextStream(self._decode, self.prepared.stop, self.bot.moderator)

    def _decode(self, ids: list[int]) -> str:
        return str(self.version.tokenizer.decode(ids, skip_special_tokens=True))

    async def finish(self, engine: Engine) -> None:
        """Run the job to its end, or to a stop string, without telling what comes."""
        if self.prepared.job.flush_seconds is not None:
            async for _ in self.run(engine):
                pass
            return
        async for event in engine.submit(self.prepared.job):
            self._note(event)

    async def run(self, engine: Engine) -> AsyncGenerator[str, None]:
        """Run the job and yield text that may be sent, at most every FLUSH_SECONDS.

        Ends early at a stop string or a block.
        """
        ready, told_at = "", 0.0
        async with aclosing(engine.submit(self.prepared.job)) as events:
            async for event in events:
                self._note(event)
                ready += self.stream.add(event.tokens)
                if ready and event.at - told_at >= FLUSH_SECONDS:
                    yield ready
                    ready, told_at = "", event.at
                if self.stream.stopped or self.stream.blocked:
                    break
        ready += self.stream.finish()
        if ready and not self.stream.blocked:
            yield ready

    @property
    def cached_tokens(self) -> int:
        """Tokens of the prompt that needed no computing."""
        return self.last.cached if self.last else 0

    def seconds_per_token(self) -> float | None:
        """Mean time a token after the first; None where there is none, or nobody saw the first."""
        if self.last is None or self.first_token_at is None:
            return None
        later = len(self._outputs(self.last)[0][0]) - 1
        return (self.last.at - self.first_token_at) / later if later > 0 else None

    def _note(self, event: Event) -> None:
        if event.error is not None:
            raise JobFailed(event.error)
        if self.prepared.job.candidates == 1:
            self.first_token_at = self.first_token_at or event.at
        self.last = event

    def response(self) -> pb.GenerateResponse:
        """What the caller gets after `run` has ended; raises EngineDown when nothing came."""
        if self.last is None:
            raise EngineDown
        outputs = list(self._outputs(self.last)) * self.prepared.copies
        done = [self._candidate(ids, finish) for ids, finish in outputs]
        replace_last_if_all_blocked(done, self.bot.moderator.policy.replacement)
        return pb.GenerateResponse(
            candidates=done,
            model_version=self.version.manifest.id,
            prompt_tokens=len(self.prepared.job.ids),
            turns_used=self.prepared.turns_used,
            timings=pb.Timings(
                queue=max(0.0, self.last.started_at - self.accepted_at),
                first_token=(self.first_token_at or self.accepted_at) - self.accepted_at,
                total=self.last.at - self.accepted_at,
            ),
        )

    def _outputs(self, last: Event) -> Sequence[tuple[list[int], Finish]]:
        if last.generated:
            return [(each.ids, each.finish) for each in last.generated]
        return [(self.stream.ids, Finish.STOP)]  # ended early: a stop string, or blocked

    def _candidate(self, ids: list[int], finish: Finish) -> pb.Candidate:
        return candidate(
            self._decode(ids),
            len(ids),
            finish,
            self.prepared.stop,
            self.version.manifest.prompt_format,
            self.bot.moderator,
        )
