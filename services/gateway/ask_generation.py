"""Asks generation for a reply, again and again while it cannot answer, and for two minutes at most.

Knows turns and the service, and neither Telegram nor the store.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from contracts.retry import backoff, retry
from contracts.sampling import CANDIDATES
from contracts.turn import single_line
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.context import Context
from services.gateway.store.history import Basis
from services.gateway.store.same_words import denial_key, is_repeat
from services.generation.client import GenerationClient, GenerationError, InvalidRequest, RetryLater
from telemetry.logs import logger

OUTAGE_SECONDS = 120.0
"""Time after which people are told that there will be no answer."""
DRAWS = 3
"""How often generation is asked for a reply that has words in it and is no repeat."""
TELL_AGAIN_SECONDS = 600.0
"""Time within which a chat is told of an outage once."""

_USABLE = (pb.MODERATION_ACTION_NONE, pb.MODERATION_ACTION_MASKED)


class Generation:
    """Generation as one bot uses it; `version` is the model version that answered last."""

    def __init__(self, client: GenerationClient, context: Context) -> None:
        self._client = client
        self._bot = context.bot
        self._clock = context.clock
        self._metrics = context.metrics
        self._told_at: dict[tuple[int, int], float] = {}
        self.version = ""

    async def served(self) -> pb.Model | None:
        """Return what generation says of the version that serves; None without one.

        Raises GenerationError.
        """
        models = await self._client.list_models()
        return next((each for each in models if each.bot == self._bot and each.version), None)

    async def ask(
        self, turns: Sequence[pb.Turn], chat_key: str, request_id: str, basis: Basis
    ) -> tuple[list[str], list[pb.GenerateResponse]]:
        """Return the messages to send, none where no draw can be said, and the draws.

        Raises GenerationError when there is no answer in time.
        """
        began = self._clock.monotonic()
        lines, outcome, draws = list[str](), "nothing", list[pb.GenerateResponse]()
        try:
            for _ in range(DRAWS):
                draws.append(await self._generate(turns, chat_key, request_id))
                chosen = choose(draws[-1].candidates, basis.recent, basis.denied)
                if chosen[0]:
                    lines, outcome = chosen
                if outcome in ("candidate", "replaced"):
                    break
        except GenerationError:
            if not lines:  # a repeat is better than nothing
                self._metrics.replies.labels("unavailable").inc()
                raise
        self._metrics.replies.labels(outcome).inc()
        self._metrics.answer.observe(self._clock.monotonic() - began)
        return lines, draws

    async def _generate(
        self, turns: Sequence[pb.Turn], chat_key: str, request_id: str
    ) -> pb.GenerateResponse:
        more: dict[str, Any] = {"chat_key": chat_key, "request_id": request_id}
        call = partial(self._client.generate, self._bot, turns, candidates=CANDIDATES, **more)
        policy = partial(self._pause, until=self._clock.monotonic() + OUTAGE_SECONDS)
        try:
            response = await retry(call, self._clock, policy)
        except GenerationError as error:
            logger().warning("generation unavailable", code=error.code.name)
            raise
        self.version = response.model_version
        return response

    def _pause(self, error: Exception, attempt: int, until: float) -> float | None:
        """Seconds until the next attempt; None for no further one."""
        if not isinstance(error, GenerationError) or isinstance(error, InvalidRequest):
            return None
        left = until - self._clock.monotonic()
        if left <= 0:
            return None
        self._metrics.retries.labels(error.code.name).inc()
        wanted = error.retry_after if isinstance(error, RetryLater) else 0.0
        return min(left, max(wanted, backoff(attempt)))

    def may_tell(self, chat: int, topic: int) -> bool:
        """Whether to tell the conversation of the outage now: not if it just heard of it."""
        now = self._clock.monotonic()
        lately = {k: at for k, at in self._told_at.items() if now - at < TELL_AGAIN_SECONDS}
        self._told_at = {(chat, topic): now} | lately
        return (chat, topic) not in lately


def choose(
    candidates: Sequence[pb.Candidate], recent: frozenset[str], denied: frozenset[str]
) -> tuple[list[str], str]:
    """Return the messages to send, and which kind of candidate they are.

    candidate   the first that may be said and does not repeat what was said lately
    replaced    else the bot's own line, where moderation took the words away
    repeat      else the first that may be said
    nothing     none may be said
    """
    spoken = [(each.moderation.action, lines) for each in candidates if (lines := _lines(each))]
    allowed = [
        (action, lines) for action, lines in spoken if not denied & set(map(denial_key, lines))
    ]
    usable = [lines for action, lines in allowed if action in _USABLE]
    for lines in usable:
        if not any(is_repeat(line, recent) for line in lines):
            return lines, "candidate"
    for action, lines in allowed:
        if action == pb.MODERATION_ACTION_REPLACED:
            return lines, "replaced"
    return (usable[0], "repeat") if usable else ([], "nothing")


def _lines(candidate: pb.Candidate) -> list[str]:
    return [line for text in candidate.messages if (line := single_line(text))]
