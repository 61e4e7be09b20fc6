"""The RPCs: check a request, lend it a version, admit it to the engine, answer or reject."""

import asyncio
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError

from contracts.clock import Clock
from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from services.generation.admission import AdmissionQueue
from services.generation.engine.engine import Engine
from services.generation.errors import InvalidArgument, Rejection, internal_error
from services.generation.metrics import Metrics
from services.generation.request import check, prepare
from services.generation.response import ResponseBuilder
from services.generation.served_versions import Versions
from telemetry.logs import logger

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"].full_name
MAX_MESSAGE_BYTES = 1 << 20
MAX_RECEIVED_BYTES = 4 * MAX_MESSAGE_BYTES
"""Above it gRPC itself hangs up, with a RESOURCE_EXHAUSTED that says nothing."""
REQUEST_ID = "x-request-id"
MAX_ID = 64
"""Characters of a request's id or bot that are logged."""
LATE_SECONDS = 0.01
"""A call that is cancelled with less than this left has run into its deadline."""

Context = grpc.aio.ServicerContext[Any, Any]


class Parser(grpc.aio.ServerInterceptor):
    """Parses the service's requests; bytes that are no message are the caller's fault.

    gRPC itself would end such a call with UNKNOWN. Here the handler gets a Rejection in place of
    the request, and so it is logged and counted like any other.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(f"/{SERVICE}/"):
            return handler

        def parse(data: bytes) -> Any | Rejection:
            if len(data) > MAX_MESSAGE_BYTES:
                problem = f"has {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are taken"
                return InvalidArgument("request", problem)
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                return InvalidArgument("request", "is no message of generation.v1, or not UTF-8")

        return handler._replace(request_deserializer=parse)


@dataclass(frozen=True)
class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers for all bots; keeps no state of its own. Its requests are parsed by `Parser`."""

    engine: Engine
    versions: Versions
    metrics: Metrics
    queue: AdmissionQueue
    clock: Clock

    async def Generate(  # noqa: N802 (the proto's name)
        self, request: pb.GenerateRequest | Rejection, context: Context
    ) -> pb.GenerateResponse:
        async with self._answer(request, context) as builder:
            async with aclosing(builder.run(self.engine)) as pieces:
                async for _ in pieces:
                    pass
            return self._finish(builder)

    async def GenerateStream(  # noqa: N802
        self, request: pb.GenerateStreamRequest | Rejection, context: Context
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        async with self._answer(request, context) as builder:
            async with aclosing(builder.run(self.engine)) as pieces:
                async for piece in pieces:
                    yield pb.GenerateStreamResponse(delta=piece)
            yield pb.GenerateStreamResponse(response=self._finish(builder))

    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest | Rejection, context: Context
    ) -> pb.ListModelsResponse:
        if isinstance(request, Rejection):
            await self._reject(request, "", context)
        return pb.ListModelsResponse(models=await self.versions.models())

    @asynccontextmanager
    async def _answer(
        self, request: pb.GenerateRequest | pb.GenerateStreamRequest | Rejection, context: Context
    ) -> AsyncIterator[ResponseBuilder]:
        """Admit a request, and end the call with the status of whatever is raised."""
        stream = isinstance(request, pb.GenerateStreamRequest)
        inner = request.request if isinstance(request, pb.GenerateStreamRequest) else request
        bot = "" if isinstance(inner, Rejection) else inner.bot
        metadata = dict(context.invocation_metadata() or ())
        request_id = str(metadata.get(REQUEST_ID) or uuid.uuid4().hex)[:MAX_ID]
        with structlog.contextvars.bound_contextvars(request_id=request_id, bot=bot[:MAX_ID]):
            try:
                if isinstance(inner, Rejection):
                    raise inner
                async with self._admit(inner, stream, context.time_remaining()) as builder:
                    yield builder
            except (asyncio.CancelledError, GeneratorExit):
                left = context.time_remaining()
                late = left is not None and left <= LATE_SECONDS
                self._count(bot, "DEADLINE_EXCEEDED" if late else "CANCELLED")
                raise
            except Exception as error:
                path = "request." if stream else ""
                await self._reject(_rejection(error, path), bot, context)
            else:
                self._count(bot, "OK")

    @asynccontextmanager
    async def _admit(
        self, request: pb.GenerateRequest, stream: bool, seconds_left: float | None
    ) -> AsyncIterator[ResponseBuilder]:
        """Lend the request a version, and the engine's slots that it needs."""
        accepted_at = self.clock.monotonic()
        check(request, stream)
        with self.versions.lease(request.bot, request.version) as (bot, version):
            prepared = prepare(request, bot, version, stream)
            key, candidates = (bot.name, request.chat_key), prepared.engine.candidates
            async with self.queue.admit(key, candidates, seconds_left):
                yield ResponseBuilder(accepted_at, bot, version, prepared)

    async def _reject(self, rejection: Rejection, bot: str, context: Context) -> None:
        logger().info("rejected", code=rejection.code.name, reason=str(rejection))
        if rejection.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            self.metrics.rejected.labels(rejection.reason.lower()).inc()
        self._count(bot, rejection.code.name)
        await rejection.abort(context)

    def _count(self, bot: str, code: str) -> None:
        known = bot if self.versions.has_bot(bot) else ""
        self.metrics.requests.labels(known, code).inc()

    def _finish(self, builder: ResponseBuilder) -> pb.GenerateResponse:
        """Return the response, counted and logged."""
        response = builder.response()
        self.metrics.answered(builder, response)
        logger().info(
            "answered",
            version=response.model_version,
            prompt_tokens=response.prompt_tokens,
            tokens=sum(each.tokens for each in response.candidates),
            seconds=round(response.timings.total, 3),
        )
        return response


def _rejection(error: Exception, path: str) -> Rejection:
    """Return the status for an exception; `path` is where in its message the request stands."""
    match error:
        case InvalidArgument():
            return InvalidArgument(path + error.field, error.problem)
        case Rejection():
            return error
    # its text may hold anything, a user's words among it
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}"
    logger().error("unexpected error", error=error, where=where)
    return internal_error()
