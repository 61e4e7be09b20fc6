"""What ends a request with a status other than OK, after google.rpc's error model.

Each exception is raised where the fault is and carries its gRPC status and rich details.

Rejection             ErrorInfo with a reason, RetryInfo with a delay
├── InvalidArgument   BadRequest with the path of the wrong field
└── EngineDown        UNAVAILABLE: the engine is starting
"""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.any import pack
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

DOMAIN = "generation.v1"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
MAX_STATUS_TEXT = 500
"""Characters of a status's text: gRPC sends it twice, and replaces a status of more than 8 kB."""


class Rejection(Exception):
    """A request that ends with a status other than OK.

    reason       a constant for programs and metrics, empty where the status says enough
    retry_after  seconds after which the same request may succeed
    """

    def __init__(
        self, code: grpc.StatusCode, text: str, reason: str = "", retry_after: float | None = None
    ) -> None:
        self.code = code
        self.reason = reason
        self.retry_after = retry_after
        text = text[:MAX_STATUS_TEXT]
        super().__init__(
            text if retry_after is None else f"{text}; ask again in {retry_after:.1f} s"
        )

    def details(self) -> Iterator[Message]:
        """Yield the rich details."""
        if self.retry_after is not None:
            yield RetryInfo(retry_delay=timedelta(seconds=self.retry_after))
        if self.reason:
            yield ErrorInfo(reason=self.reason, domain=DOMAIN)

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """End the call with this status.

        A client that retries by itself waits for `retry_after`, or gives up at once if the call's
        deadline passes before that.
        """
        details = [pack(detail) for detail in self.details()]
        status = Status(code=self.code.value[0], message=str(self), details=details)
        metadata = list(rpc_status.to_status(status).trailing_metadata)
        if self.retry_after is not None:
            left = context.time_remaining()
            in_time = left is None or self.retry_after < left
            pushback = round(self.retry_after * 1000) if in_time else -1
            metadata.append((PUSHBACK_KEY, str(pushback)))
        await context.abort(self.code, str(self), tuple(metadata))


class InvalidArgument(Rejection):
    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: {problem}")

    def details(self) -> Iterator[Message]:
        violation = BadRequest.FieldViolation(field=self.field, description=self.problem)
        yield BadRequest(field_violations=[violation])


class EngineDown(Rejection):
    def __init__(self) -> None:
        # not all clients come back at the same moment
        later = random.uniform(1.0, 1.5)
        super().__init__(grpc.StatusCode.UNAVAILABLE, "the engine is starting", retry_after=later)


def internal_error() -> Rejection:
    """Return an INTERNAL that says nothing: its cause may quote a chat, and stays in our log."""
    return Rejection(grpc.StatusCode.INTERNAL, "internal error; the server's log has it")
