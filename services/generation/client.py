"""The typed client of the generation service; needs nothing but grpc and the proto's stubs.

A call that is rejected for now (UNAVAILABLE, RESOURCE_EXHAUSTED), or cancelled by a server that is
stopping (CANCELLED), is retried up to four times within its deadline: when the server says, else
after a growing pause. Of several replicas a chat keeps the one that has its history cached, and
uses another while that one is away. gRPC itself does all of this.

GenerationError        any failed call: `code`, `text`
├── InvalidRequest     a field is wrong: `fields`
├── BotUnavailable     no such bot, or no version of it
├── RetryLater         the service is busy, starting or stopping: `retry_after` in seconds
└── DeadlineExceeded   no answer within the timeout
"""

import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from hashlib import blake2b
from typing import Any, TypedDict, Unpack

import grpc
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from grpc_status import rpc_status

from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT = 30.0
_CHAT = "x-chat"
"""Metadata key of the chat's hash, by which gRPC picks the replica (gRFC A76)."""
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"ring_hash_experimental": {"requestHashHeader": _CHAT}}],
    "methodConfig": [
        {
            "name": [{"service": "generation.v1.GenerationService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "CANCELLED"],
            },
        }
    ],
}
CHANNEL_OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]
"""No proxy, since one that is set leads to the outside world. When a replica goes, its name is
resolved anew at once (by default: after half a minute), and pings find dead connections."""


class GenerationError(Exception):
    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code.name}: {text}")


class InvalidRequest(GenerationError):
    """`fields` maps the path of each wrong field to what is wrong."""

    def __init__(self, code: grpc.StatusCode, text: str, fields: dict[str, str]) -> None:
        super().__init__(code, text)
        self.fields = fields


class BotUnavailable(GenerationError):
    pass


class RetryLater(GenerationError):
    def __init__(self, code: grpc.StatusCode, text: str, retry_after: float = 1.0) -> None:
        super().__init__(code, text)
        self.retry_after = retry_after


class DeadlineExceeded(GenerationError):
    pass


Turns = Iterable[pb.Turn]


class CallOptions(TypedDict, total=False):
    """Keyword arguments of a call: how it is made, then the other fields of a GenerateRequest.

    timeout     seconds, the client's own if not given
    request_id  to be found in the service's logs
    """

    timeout: float | None
    request_id: str | None
    chat_key: str | None
    candidates: int | None
    seed: int | None
    sampling: pb.Sampling | None
    max_new_tokens: int | None
    version: str | None


def turn(*messages: str, persona: bool = False, speaker: str = "") -> pb.Turn:
    """Return a turn of a request, of anybody but the persona unless `persona`."""
    role = pb.ROLE_PERSONA if persona else pb.ROLE_OTHER
    speaker = speaker or ("persona" if persona else "user")
    return pb.Turn(role=role, speaker=speaker, messages=messages)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise a GenerationError where a call fails."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translate(error) from error


def _translate(error: Any) -> GenerationError:
    code, text = error.code(), error.details() or ""
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            violations = _detail(error, BadRequest).field_violations
            return InvalidRequest(code, text, {each.field: each.description for each in violations})
        case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.FAILED_PRECONDITION:
            return BotUnavailable(code, text)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.RESOURCE_EXHAUSTED:
            if delay := _detail(error, RetryInfo).retry_delay.ToTimedelta().total_seconds():
                return RetryLater(code, text, delay)
            if code is grpc.StatusCode.UNAVAILABLE:
                return RetryLater(code, text)
            # else too large a message: it would not pass later
        case grpc.StatusCode.CANCELLED:  # by a server that is stopping
            return RetryLater(code, text)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(code, text)
    return GenerationError(code, text)


def _detail(error: Any, kind: type) -> Any:
    """Return the rich detail of that type, an empty one where there is none."""
    detail: Any = kind()
    with suppress(ValueError):  # gRPC replaces a status that is too large
        status = rpc_status.from_call(error)
        for packed in status.details if status else ():
            if packed.Unpack(detail):  # which it does if it is of that type
                break
    return detail


class GenerationClient(AbstractAsyncContextManager["GenerationClient"]):
    """Use as `async with GenerationClient(address) as client`; all calls raise GenerationError."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, timeout: float = DEFAULT_TIMEOUT, retry: bool = True
    ) -> None:
        os.environ.setdefault("GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY", "true")
        config = ("grpc.service_config", json.dumps(_SERVICE_CONFIG))
        options = [*CHANNEL_OPTIONS, config, ("grpc.enable_retries", int(retry))]
        self._channel = grpc.aio.insecure_channel(address, options)
        self._stub: Any = pb_grpc.GenerationServiceStub(self._channel)
        self._timeout = timeout

    async def __aexit__(self, *error: object) -> None:
        await self._channel.close()

    async def generate(
        self, bot: str, turns: Turns, **options: Unpack[CallOptions]
    ) -> pb.GenerateResponse:
        """Return all candidates."""
        request, how = self._call(bot, turns, options)
        with _translate_errors():
            response: pb.GenerateResponse = await self._stub.Generate(request, **how)
        return response

    async def stream(
        self, bot: str, turns: Turns, **options: Unpack[CallOptions]
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        """Yield pieces of text, then the response."""
        request, how = self._call(bot, turns, options)
        call = self._stub.GenerateStream(pb.GenerateStreamRequest(request=request), **how)
        try:
            with _translate_errors():
                async for event in call:
                    yield event
        finally:
            call.cancel()

    async def list_models(self) -> list[pb.Model]:
        with _translate_errors():
            answer = await self._stub.ListModels(pb.ListModelsRequest(), timeout=self._timeout)
        return list(answer.models)

    def _call(
        self, bot: str, turns: Turns, options: CallOptions
    ) -> tuple[pb.GenerateRequest, dict[str, Any]]:
        """Return a request, and how it is sent."""
        fields: dict[str, Any] = {**options}
        timeout, request_id = fields.pop("timeout", None), fields.pop("request_id", None)
        request = pb.GenerateRequest(bot=bot, turns=turns, **fields)
        metadata = [("x-request-id", request_id)] if request_id else []
        if chat := request.chat_key.encode():
            metadata.append((_CHAT, blake2b(chat, digest_size=8).hexdigest()))
        timeout = self._timeout if timeout is None else timeout
        return request, {"timeout": timeout, "metadata": metadata}
