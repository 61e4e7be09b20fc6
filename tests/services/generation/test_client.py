"""The client: retries within its deadline, and finds its chat's replica among several."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

import grpc
import pytest
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from services.generation.client import (
    GenerationClient,
    GenerationError,
    InvalidRequest,
    RetryLater,
    turn,
)
from services.generation.errors import InvalidArgument, Rejection
from services.generation.servicer import MAX_MESSAGE_BYTES, MAX_RECEIVED_BYTES
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import Service, running

SOON = 0.02
"""Seconds after which these servers want to be asked again."""
PROMPT = [turn("Привет")]


@dataclass
class Replica(pb_grpc.GenerationServiceServicer):
    """Answers with its name; rejects the first `rejections` calls."""

    name: str = "only"
    rejection: Rejection | None = None
    rejections: int = 0
    calls: int = 0

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:  # noqa: N802
        self.calls += 1
        if self.rejection and self.calls <= self.rejections:
            await self.rejection.abort(context)
        return pb.GenerateResponse(model_version=self.name)

    async def GenerateStream(  # noqa: N802
        self, request: pb.GenerateStreamRequest, context: Any
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        yield pb.GenerateStreamResponse(response=await self.Generate(request.request, context))

    async def ListModels(self, request: Any, context: Any) -> pb.ListModelsResponse:  # noqa: N802
        return pb.ListModelsResponse()


@asynccontextmanager
async def serving(replica: Replica) -> AsyncIterator[tuple[grpc.aio.Server, str]]:
    server = grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(replica, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield server, f"127.0.0.1:{port}"
    await server.stop(0)


class Replaced(InvalidArgument):
    """Its code and text are those of gRPC, which replaces a status that is too large."""

    async def abort(self, context: Any) -> None:
        ours = rpc_status.to_status(Status(code=5, message="no such bot"))
        await context.abort(self.code, str(self), ours.trailing_metadata)


def _later(code: grpc.StatusCode, retry_after: float | None = SOON) -> Rejection:
    return Rejection(code, "not now", retry_after=retry_after)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("rejection", "rejections", "retry", "outcome", "calls"),
    [
        (_later(grpc.StatusCode.UNAVAILABLE), 3, True, pb.GenerateResponse, 4),
        (_later(grpc.StatusCode.RESOURCE_EXHAUSTED), 3, True, pb.GenerateResponse, 4),
        (_later(grpc.StatusCode.CANCELLED, None), 1, True, pb.GenerateResponse, 2),
        (_later(grpc.StatusCode.CANCELLED, None), 1, False, RetryLater, 1),
        (_later(grpc.StatusCode.UNAVAILABLE), 1, False, RetryLater, 1),
        (_later(grpc.StatusCode.UNAVAILABLE), 100, True, RetryLater, 5),
        (_later(grpc.StatusCode.UNAVAILABLE, 30.0), 100, True, RetryLater, 1),  # later than may be
        (InvalidArgument("turns", "none"), 1, True, InvalidRequest, 1),
        (Replaced("turns", "none"), 1, True, InvalidRequest, 1),
    ],
)
async def test_retries_what_may_succeed_within_the_deadline(
    rejection: Rejection, rejections: int, retry: bool, outcome: type, calls: int, stream: bool
) -> None:
    replica = Replica("only", rejection, rejections)
    async with serving(replica) as (_, address), GenerationClient(address, 20.0, retry) as client:

        async def call() -> pb.GenerateResponse:
            if not stream:
                return await client.generate(BOT, PROMPT)
            [event] = [event async for event in client.stream(BOT, PROMPT)]
            return event.response

        [ended] = await asyncio.gather(call(), return_exceptions=True)
    assert (type(ended), replica.calls) == (outcome, calls)
    if isinstance(ended, RetryLater) and rejection.retry_after:
        assert ended.retry_after == pytest.approx(rejection.retry_after)


@pytest.mark.parametrize("size", [1_000_000, MAX_MESSAGE_BYTES, MAX_RECEIVED_BYTES])
async def test_too_large_a_message_is_not_for_later(service: Service, size: int) -> None:
    with pytest.raises(GenerationError) as refused:
        await service.client.generate(BOT, [turn("x" * size)])
    is_received = size < MAX_RECEIVED_BYTES  # else gRPC itself refuses it
    assert type(refused.value) is (InvalidRequest if is_received else GenerationError)


async def test_a_chat_keeps_its_replica_and_moves_on_when_that_one_goes() -> None:
    replicas = [Replica(name) for name in ("one", "two", "three")]
    chats = [f"чат {number}" for number in range(40)]
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(serving(replica)) for replica in replicas]
        address = "ipv4:" + ",".join(address for _, address in started)
        client = await stack.enter_async_context(GenerationClient(address))

        async def replica_of(chat: str) -> str:
            return (await client.generate(BOT, PROMPT, chat_key=chat)).model_version

        first = [await replica_of(chat) for chat in chats]
        assert [await replica_of(chat) for chat in chats] == first
        assert set(first) == {"one", "two", "three"}

        await started[0][0].stop(0)
        moved = await asyncio.gather(*map(replica_of, chats))
        stayed = [now for before, now in zip(first, moved, strict=True) if before != "one"]
        assert stayed == [before for before in first if before != "one"]
        assert "one" not in moved


@contextmanager
def name_server(addresses: list[str]) -> Iterator[str]:
    """A DNS server that gives every name the first of the addresses; yields where it listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                question, sender = here.recvfrom(512)
                if not question:
                    return
                end = question.index(b"\0", 12) + 5
                is_a = question[end - 4 : end - 2] == b"\0\1"
                record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 0, 4)
                found = record + socket.inet_aton(addresses[0]) if is_a else b""
                head = question[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", int(is_a), 0, 0)
                here.sendto(head + question[12:end] + found, sender)

        thread = Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{here.getsockname()[1]}"
        here.sendto(b"", here.getsockname())
        thread.join()


async def test_a_replica_that_takes_anothers_name_is_found_at_once(toy: Toy) -> None:
    folders, addresses = (toy.bots_dir, toy.models_dir), ["127.0.0.1"]
    with name_server(addresses) as dns:
        async with running(*folders) as old:
            port = old.ports.grpc
            name = f"dns://{dns}/generation.test:{port}"
            there = running(*folders, grpc_host="127.0.0.2", grpc_port=port)
            async with GenerationClient(name, timeout=10) as client, there as new:
                await client.generate(BOT, PROMPT)
                addresses[0] = "127.0.0.2"
                old.stop.set()
                await old.ended
                await client.generate(BOT, PROMPT)
                for replica in (old, new):
                    assert replica.metric("requests_total", bot=BOT, code="OK") == 1
