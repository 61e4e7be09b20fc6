"""Parses requests: bytes that are none are the caller's fault, not UNKNOWN as grpc has it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from services.generation.errors import InvalidArgument
from services.generation.metrics import Metrics
from telemetry.logs import logger

MAX_MESSAGE_BYTES = 1 << 20
MAX_RECEIVED_BYTES = 4 * MAX_MESSAGE_BYTES
"""Above it gRPC itself hangs up, with a RESOURCE_EXHAUSTED that says nothing."""


class Parsing(grpc.aio.ServerInterceptor):
    """Parses the requests of one service; what it cannot parse ends with INVALID_ARGUMENT."""

    def __init__(self, service: str, metrics: Metrics) -> None:
        self._path = f"/{service}/"
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._path):
            return handler

        async def refuse(context: Any, field: str, problem: str) -> None:
            rejection = InvalidArgument(field, problem)
            logger().info("rejected", code=rejection.code.name, reason=rejection.text)
            self._metrics.requests.labels("", rejection.code.name).inc()
            await context.abort(rejection.code, rejection.text, rejection.trailing_metadata())

        async def parsed(data: bytes, context: Any) -> Any:
            if len(data) > MAX_MESSAGE_BYTES:
                problem = f"has {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are taken"
                await refuse(context, "request", problem)
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                await refuse(context, "request", "is no message of generation.v1, or not UTF-8")

        async def answer(data: bytes, context: Any) -> Any:
            return await handler.unary_unary(await parsed(data, context), context)

        async def stream(data: bytes, context: Any) -> AsyncIterator[Any]:
            request = await parsed(data, context)
            async with aclosing(handler.unary_stream(request, context)) as events:
                async for event in events:
                    yield event

        return handler._replace(request_deserializer=None, unary_unary=answer, unary_stream=stream)
