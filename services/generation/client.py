"""The typed client of the generation service; needs grpc alone.

What is refused for now (UNAVAILABLE, RESOURCE_EXHAUSTED) or cancelled by a server that ends
(CANCELLED) is asked again up to four times within the deadline, when the server says so, else
after a growing pause. Of several replicas a chat keeps the one that knows its history, or another
while that is away. All of it is gRPC's own doing.

GenerationError        any failed call: `code`, `text`
├── InvalidRequest     the server refused a field: `fields`
├── BotUnavailable     no such bot, or no version of it
├── RetryLater         busy, starting or ending: `retry_after` in seconds
└── DeadlineExceeded   no answer within the time given
"""

import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, Protocol

import grpc
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

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
"""The service is near: a proxy set for the outside world is not on the way to it. Where a replica
goes, its successor's address is asked for at once (by default: after half a minute), and one that
is gone without a word is found out."""
_DETAILS_KEY = "grpc-status-details-bin"


class GenerationError(Exception):
    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"{code.name}: {text}")


class InvalidRequest(GenerationError):
    fields: dict[str, str]


class BotUnavailable(GenerationError):
    pass


class RetryLater(GenerationError):
    retry_after: float = 1.0


class DeadlineExceeded(GenerationError):
    pass


class TurnLike(Protocol):
    """Anything with a speaker, a role that reads `persona` or `other`, and messages."""

    @property
    def speaker(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def messages(self) -> Sequence[str]: ...


def turn(*messages: str, persona: bool = False, speaker: str = "") -> pb.Turn:
    """A turn of a request; anybody's unless `persona`."""
    role = pb.ROLE_PERSONA if persona else pb.ROLE_OTHER
    return pb.Turn(
        role=role, speaker=speaker or ("persona" if persona else "user"), messages=messages
    )


def request(bot: str, turns: Iterable[pb.Turn | TurnLike], **options: Any) -> pb.GenerateRequest:
    """A GenerateRequest; `options` are its other fields: chat_key, candidates, seed, sampling …"""
    told = [
        each
        if isinstance(each, pb.Turn)
        else turn(*each.messages, persona=each.role == "persona", speaker=each.speaker)
        for each in turns
    ]
    return pb.GenerateRequest(bot=bot, turns=told, **options)


def _error(error: grpc.RpcError) -> GenerationError:
    """The exception for a failed call, with what its rich details say."""
    code, text = error.code(), error.details() or ""
    details = _details(error)
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            invalid = InvalidRequest(code, text)
            violations = details.get(BadRequest, BadRequest()).field_violations
            invalid.fields = {each.field: each.description for each in violations}
            return invalid
        case grpc.StatusCode.NOT_FOUND | grpc.StatusCode.FAILED_PRECONDITION:
            return BotUnavailable(code, text)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.RESOURCE_EXHAUSTED:
            info = details.get(RetryInfo)
            if info is None and code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                return GenerationError(code, text)  # too large a message: it would not pass later
            later = RetryLater(code, text)
            if info:
                later.retry_after = info.retry_delay.ToTimedelta().total_seconds()
            return later
        case grpc.StatusCode.CANCELLED:  # by a server that ends
            return RetryLater(code, text)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(code, text)
    return GenerationError(code, text)


def _details(error: grpc.RpcError) -> dict[type, Any]:
    found: dict[type, Any] = {}
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == _DETAILS_KEY:
            for packed in Status.FromString(value).details:
                for kind in (BadRequest, RetryInfo):
                    message = kind()
                    if packed.Unpack(message):
                        found[kind] = message
    return found


@contextmanager
def _translated() -> Iterator[None]:
    """Let a failed call raise our exceptions."""
    try:
        yield
    except grpc.RpcError as error:
        raise _error(error) from error


def _options(retry: bool) -> list[tuple[str, Any]]:
    os.environ.setdefault("GRPC_EXPERIMENTAL_RING_HASH_SET_REQUEST_HASH_KEY", "true")
    config = json.dumps(_SERVICE_CONFIG)
    return [
        *CHANNEL_OPTIONS,
        ("grpc.service_config", config),
        ("grpc.enable_retries", int(retry)),
    ]


class _Client:
    """What both clients share: a stub and how a call is made."""

    def __init__(self, channel: Any, timeout: float) -> None:
        self._channel = channel
        self._stub: Any = pb_grpc.GenerationServiceStub(channel)
        self._timeout = timeout

    def _how(
        self, timeout: float | None = None, request_id: str | None = None, chat: str = ""
    ) -> dict[str, Any]:
        metadata = [(_CHAT, blake2b(chat.encode(), digest_size=8).hexdigest())] if chat else []
        if request_id:
            metadata.append(("x-request-id", request_id))
        return {"timeout": self._timeout if timeout is None else timeout, "metadata": metadata}


class GenerationClient(_Client):
    """For asyncio. Use as `async with GenerationClient(address) as client`."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, timeout: float = DEFAULT_TIMEOUT, retry: bool = True
    ) -> None:
        super().__init__(grpc.aio.insecure_channel(address, _options(retry)), timeout)

    async def __aenter__(self) -> "GenerationClient":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._channel.close()

    async def generate(
        self,
        bot: str,
        turns: Iterable[pb.Turn | TurnLike],
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> pb.GenerateResponse:
        """All candidates; raises GenerationError."""
        asked = request(bot, turns, **options)
        with _translated():
            response: pb.GenerateResponse = await self._stub.Generate(
                asked, **self._how(timeout, request_id, asked.chat_key)
            )
        return response

    async def stream(
        self,
        bot: str,
        turns: Iterable[pb.Turn | TurnLike],
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        """Deltas, then the response; raises GenerationError."""
        asked = pb.GenerateStreamRequest(request=request(bot, turns, **options))
        call = self._stub.GenerateStream(
            asked, **self._how(timeout, request_id, asked.request.chat_key)
        )
        try:
            with _translated():
                async for event in call:
                    yield event
        finally:
            call.cancel()

    async def list_models(self) -> list[pb.Model]:
        with _translated():
            response = await self._stub.ListModels(pb.ListModelsRequest(), **self._how())
        return list(response.models)


class SyncGenerationClient(_Client):
    """For scripts and notebooks. Use as `with SyncGenerationClient(address) as client`."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, timeout: float = DEFAULT_TIMEOUT, retry: bool = True
    ) -> None:
        super().__init__(grpc.insecure_channel(address, _options(retry)), timeout)

    def __enter__(self) -> "SyncGenerationClient":
        return self

    def __exit__(self, *error: object) -> None:
        self._channel.close()

    def generate(
        self,
        bot: str,
        turns: Iterable[pb.Turn | TurnLike],
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> pb.GenerateResponse:
        """All candidates; raises GenerationError."""
        asked = request(bot, turns, **options)
        with _translated():
            response: pb.GenerateResponse = self._stub.Generate(
                asked, **self._how(timeout, request_id, asked.chat_key)
            )
        return response

    def stream(
        self,
        bot: str,
        turns: Iterable[pb.Turn | TurnLike],
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        **options: Any,
    ) -> Iterator[pb.GenerateStreamResponse]:
        """Deltas, then the response; raises GenerationError."""
        asked = pb.GenerateStreamRequest(request=request(bot, turns, **options))
        call = self._stub.GenerateStream(
            asked, **self._how(timeout, request_id, asked.request.chat_key)
        )
        try:
            with _translated():
                yield from call
        finally:
            call.cancel()

    def list_models(self) -> list[pb.Model]:
        with _translated():
            response = self._stub.ListModels(pb.ListModelsRequest(), **self._how())
        return list(response.models)
