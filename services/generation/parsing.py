"""Parses requests: bytes that are none are the caller's fault, not UNKNOWN as grpc has it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from services.generation.metrics import Metrics
from telemetry.logs import logger


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

        async def parsed(data: bytes, context: Any) -> Any:
            try:
                return handler.request_deserializer(data)
            except DecodeError:
                code = grpc.StatusCode.INVALID_ARGUMENT
                logger().info("rejected", code=code.name, reason="not a message")
                self._metrics.requests.labels("", code.name).inc()
                await context.abort(
                    code, "the request is no message of generation.v1, or not UTF-8"
                )

        async def answer(data: bytes, context: Any) -> Any:
            return await handler.unary_unary(await parsed(data, context), context)

        async def stream(data: bytes, context: Any) -> AsyncIterator[Any]:
            request = await parsed(data, context)
            async with aclosing(handler.unary_stream(request, context)) as events:
                async for event in events:
                    yield event

        return handler._replace(request_deserializer=None, unary_unary=answer, unary_stream=stream)
