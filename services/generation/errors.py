"""gRPC statuses with rich details, after google.rpc's error model.

Rejection              carries a status code and details
├── InvalidArgument    BadRequest with the field's path
├── UnknownBot         NOT_FOUND, ErrorInfo
├── NotPublished       FAILED_PRECONDITION, ErrorInfo
├── Overloaded         RESOURCE_EXHAUSTED, RetryInfo and ErrorInfo
├── EngineUnavailable  UNAVAILABLE, RetryInfo
└── Internal           INTERNAL; what went wrong is in our log alone
"""

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

DOMAIN = "generation.v1"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"


class Rejection(Exception):
    """A request that ends with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, text: str, details: Sequence[Message]) -> None:
        self.code = code
        self.text = text
        self.details = details
        super().__init__(text)

    def trailing_metadata(
        self, seconds_left: float | None = None
    ) -> tuple[tuple[str, str | bytes], ...]:
        """The details as google.rpc.Status, where clients look for them.

        Clients that retry by themselves wait as long as RetryInfo says, or not at all where that is
        longer than the call may take: they hear of the refusal at once.
        """
        packed = []
        for detail in self.details:
            any_detail = Any()
            any_detail.Pack(detail)
            packed.append(any_detail)
        status = Status(code=self.code.value[0], message=self.text, details=packed)
        metadata: list[tuple[str, str | bytes]] = [(DETAILS_KEY, status.SerializeToString())]
        for detail in self.details:
            if isinstance(detail, RetryInfo):
                delay = detail.retry_delay.ToMilliseconds()
                in_time = seconds_left is None or delay < seconds_left * 1000
                metadata.append((PUSHBACK_KEY, str(delay if in_time else -1)))
        return tuple(metadata)


class InvalidArgument(Rejection):
    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        violation = BadRequest.FieldViolation(field=field, description=problem)
        details = [BadRequest(field_violations=[violation])]
        super().__init__(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: {problem}", details)


class UnknownBot(Rejection):
    def __init__(self, text: str, reason: str = "BOT_NOT_FOUND") -> None:
        super().__init__(grpc.StatusCode.NOT_FOUND, text, [_info(reason)])


class NotPublished(Rejection):
    def __init__(self, bot: str, why: str) -> None:
        text = f"bot {bot!r} cannot answer: {why}"
        super().__init__(grpc.StatusCode.FAILED_PRECONDITION, text, [_info("NO_VERSION")])


class Overloaded(Rejection):
    def __init__(self, why: str, reason: str, retry_after: float) -> None:
        text = f"{why}; ask again in {retry_after:.1f} s"
        details = [_retry(retry_after), _info(reason)]
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, text, details)


class EngineUnavailable(Rejection):
    def __init__(self, retry_after: float) -> None:
        text = f"the engine is starting; ask again in {retry_after:g} s"
        super().__init__(grpc.StatusCode.UNAVAILABLE, text, [_retry(retry_after)])


class Internal(Rejection):
    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.INTERNAL, "internal error; the server's log has it", [])


def _info(reason: str) -> ErrorInfo:
    return ErrorInfo(reason=reason, domain=DOMAIN)


def _retry(seconds: float) -> RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return RetryInfo(retry_delay=delay)
