"""The RPCs: check, lend a version, run the job, answer; and a status for all that goes wrong."""

import asyncio
import time
import traceback
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import structlog

from contracts.bot_file import BotNotFound
from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from services.generation.call import Call, JobFailed
from services.generation.engine import Engine, EngineDown
from services.generation.errors import (
    EngineUnavailable,
    Internal,
    InvalidArgument,
    NotPublished,
    Overloaded,
    Rejection,
    UnknownBot,
)
from services.generation.line import Line, QueueFull, WouldBeLate, spread
from services.generation.metrics import Metrics
from services.generation.request import check, prepare
from services.generation.versions import NoVersionServed, VersionNotLoaded, Versions
from telemetry.logs import logger

REQUEST_ID = "x-request-id"
LONGEST_ID = 64
_REASONS = {QueueFull: "QUEUE_FULL", WouldBeLate: "WOULD_BE_LATE"}
LATE_SECONDS = 0.01
"""A call that is cancelled with less than this left has run into its deadline."""

Context = grpc.aio.ServicerContext[Any, Any]


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers for all bots; keeps no state of its own."""

    def __init__(
        self,
        engine: Engine,
        versions: Versions,
        metrics: Metrics,
        line: Line,
        job_id: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._versions = versions
        self._metrics = metrics
        self._line = line
        self._job_id = job_id
        self._clock = clock

    async def Generate(  # noqa: N802 (the proto's name)
        self, request: pb.GenerateRequest, context: Context
    ) -> pb.GenerateResponse:
        async with self._answering(request.bot, context), self._call(request, context) as call:
            await call.finish(self._engine)
            return self._counted(call)

    async def GenerateStream(  # noqa: N802
        self, request: pb.GenerateStreamRequest, context: Context
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        inner = request.request
        async with self._answering(inner.bot, context):
            if inner.candidates > 1:
                raise InvalidArgument("request.candidates", "a stream has one candidate")
            async with self._call(inner, context, "request.", stream=True) as call:
                async with aclosing(call.run(self._engine)) as deltas:
                    async for delta in deltas:
                        yield pb.GenerateStreamResponse(delta=delta)
                yield pb.GenerateStreamResponse(response=self._counted(call))

    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        models = [
            pb.Model(
                bot=name,
                version=state.current.manifest.id if state.current else "",
                loaded=sorted(state.loaded),
                problem=state.problem,
            )
            for name, state in self._versions.states().items()
        ]
        return pb.ListModelsResponse(models=models)

    @asynccontextmanager
    async def _call(
        self, request: pb.GenerateRequest, context: Context, path: str = "", stream: bool = False
    ) -> AsyncIterator[Call]:
        """Lend the request a version and a place in the engine.

        `path` is where in the RPC's message the request stands.
        """
        accepted_at = self._clock()
        with _named_from(path):
            check(request)
        version_id = request.version if request.HasField("version") else None
        with self._versions.lease(request.bot, version_id) as (bot, version):
            if not self._engine.has(version.key):
                raise EngineDown
            with _named_from(path):
                prepared = prepare(request, self._job_id(), bot, version, stream)
            key, candidates = (bot.name, request.chat_key), prepared.job.candidates
            async with self._line.place(key, candidates, context.time_remaining()):
                yield Call(accepted_at, bot, version, prepared)

    @asynccontextmanager
    async def _answering(self, bot: str, context: Context) -> AsyncIterator[None]:
        """Give the request an id in the logs, and its exceptions a status."""
        sent = dict(context.invocation_metadata() or ())
        request_id = str(sent.get(REQUEST_ID) or uuid.uuid4().hex)[:LONGEST_ID]
        code = grpc.StatusCode.OK
        with structlog.contextvars.bound_contextvars(request_id=request_id, bot=bot[:LONGEST_ID]):
            try:
                yield
            except (asyncio.CancelledError, GeneratorExit):
                left = context.time_remaining()
                late = left is not None and left <= LATE_SECONDS
                code = grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                rejection = _rejection(error, bot, list(self._versions.states()))
                code = rejection.code
                if isinstance(error, QueueFull | WouldBeLate):
                    self._metrics.rejected.labels(_REASONS[type(error)].lower()).inc()
                logger().info("rejected", code=code.name, reason=rejection.text)
                metadata = rejection.trailing_metadata(context.time_remaining())
                await context.abort(code, rejection.text, metadata)
            finally:
                known = bot if bot in self._versions.states() else ""
                self._metrics.requests.labels(known, code.name).inc()

    def _counted(self, call: Call) -> pb.GenerateResponse:
        response = call.response()
        bot, timings = call.bot.name, response.timings
        self._metrics.queue.observe(timings.queue)
        if call.first_token_at is not None:
            self._metrics.first_token.observe(timings.first_token)
        self._metrics.duration.observe(timings.total)
        self._metrics.prompt_tokens.observe(response.prompt_tokens)
        self._metrics.cached_tokens.labels(bot).inc(call.cached_tokens)
        if (per_token := call.seconds_per_token()) is not None:
            self._metrics.token.observe(per_token)
        for each in response.candidates:
            reason = pb.FinishReason.Name(each.finish_reason).removeprefix("FINISH_REASON_")
            action = pb.ModerationAction.Name(each.moderation.action)
            self._metrics.generated_tokens.labels(bot).inc(each.tokens)
            self._metrics.finished.labels(bot, reason.lower()).inc()
            self._metrics.moderated.labels(
                bot, action.removeprefix("MODERATION_ACTION_").lower()
            ).inc()
        logger().info(
            "answered",
            version=response.model_version,
            prompt_tokens=response.prompt_tokens,
            tokens=sum(each.tokens for each in response.candidates),
            seconds=round(timings.total, 3),
        )
        return response


@contextmanager
def _named_from(path: str) -> Iterator[None]:
    """Let a refused field be named by its whole path."""
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument(path + error.field, error.problem) from None


def _rejection(error: Exception, bot: str, bots: list[str]) -> Rejection:
    match error:
        case Rejection():
            return error
        case BotNotFound():
            known = ", ".join(bots) or "none"
            return UnknownBot(f"there is no bot {bot[:LONGEST_ID]!r}; there are: {known}")
        case NoVersionServed():
            return NotPublished(bot, error.reason)
        case VersionNotLoaded():
            return UnknownBot(
                f"version {str(error)!r} of bot {bot!r} is not loaded", "VERSION_NOT_LOADED"
            )
        case QueueFull() | WouldBeLate():
            return Overloaded(str(error), _REASONS[type(error)], error.retry_after)
        case EngineDown():
            return EngineUnavailable(spread(error.retry_after))
        case JobFailed():
            logger().error("the engine refused a job", reason=str(error))
        case _:  # its text may hold anything, a user's words among it
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(frame.filename).name}:{frame.lineno}"
            logger().error("unexpected error", error=type(error).__name__, where=where)
    return Internal()
