"""Asks generation for a reply, and waits with patience where it cannot answer.

Knows turns and the service, and neither Telegram nor the store.
"""

from collections.abc import Sequence

from contracts.turn import Turn
from protos.generation.v1 import generation_pb2 as pb
from services.gateway.conversation import CANDIDATES, choose
from services.gateway.errors import Unavailable
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.generation.client import (
    GenerationClient,
    GenerationError,
    InvalidRequest,
    RetryLater,
)
from telemetry.logs import logger

PATIENCE = 120.0
"""Seconds after which a person is told that there will be no answer."""
DRAWS = 3
"""How often generation is asked for a reply that has words in it and is no repeat."""
OVER = 60.0
"""Seconds without a failure after which an outage is over, though nobody asked since."""
TELL_AGAIN = 600.0
"""Seconds within which a chat is told so once."""


class Thinking:
    def __init__(self, client: GenerationClient, bot: str, pace: Pace, metrics: Metrics) -> None:
        self._client = client
        self._bot = bot
        self._pace = pace
        self._metrics = metrics
        self._told: dict[int, float] = {}
        self._down_since: float | None = None
        self._failed_at = 0.0
        self.version = ""  # that answered last

    async def reply(
        self, turns: Sequence[Turn], chat: str, request_id: str, lately: frozenset[str],
        denied: frozenset[str],
    ) -> list[str]:  # fmt: skip
        """The messages to send, none where no draw can be said; raises Unavailable, Stopping.

        chat     names it to generation
        lately   what was said there, so that another candidate or draw is taken
        denied   what must not be said
        """
        began = self._pace.now()
        lines, outcome = list[str](), "nothing"
        for _ in range(DRAWS):
            try:
                response = await self._ask(turns, chat, request_id)
            except Unavailable:
                if lines:
                    break  # a repeat is better than nothing
                raise
            self.version = response.model_version
            drawn = choose(response.candidates, lately, denied)
            if drawn[0]:
                lines, outcome = drawn
            if outcome in ("candidate", "replaced"):
                break
        self._metrics.replies.labels(outcome).inc()
        self._metrics.answer.observe(self._pace.now() - began)
        return lines

    async def _ask(self, turns: Sequence[Turn], chat: str, request_id: str) -> pb.GenerateResponse:
        if self._pace.now() - self._failed_at > OVER:
            self._down_since = None
        if self._down_since is None:  # who comes later in an outage tries once
            until = self._pace.now() + PATIENCE
        else:
            until = self._down_since + PATIENCE
        attempt = 0
        while True:
            try:
                response = await self._client.generate(
                    self._bot, turns, chat_key=chat, candidates=CANDIDATES, request_id=request_id
                )
                self._down_since = None
                return response
            except GenerationError as error:
                if not isinstance(error, InvalidRequest):
                    self._failed_at = self._pace.now()
                    self._down_since = self._down_since or self._failed_at
                left = until - self._pace.now()
                if left <= 0 or isinstance(error, InvalidRequest):
                    self._give_up(error)
                self._metrics.retries.labels(error.code.name).inc()
                asked = error.retry_after if isinstance(error, RetryLater) else 0.0
                wait = max(asked, self._pace.backoff(attempt))
            await self._pace.wait(min(wait, left))
            attempt += 1

    def _give_up(self, error: GenerationError) -> None:
        self._metrics.replies.labels("unavailable").inc()
        logger().warning("generation unavailable", code=error.code.name)
        raise Unavailable(error.code.name) from None

    def may_tell(self, chat: int) -> bool:
        """Whether the chat is to hear of the outage now: not if it just did."""
        now = self._pace.now()
        self._told = {key: at for key, at in self._told.items() if now - at < TELL_AGAIN}
        if chat in self._told:
            return False
        self._told[chat] = now
        return True
