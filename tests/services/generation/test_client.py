"""The client: asks again within its deadline, and finds its chat's replica among several."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

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
from tests.conftest import BOT
from tests.services.generation.conftest import Service

SOON = 0.02
"""Seconds after which these servers want to be asked again."""


def _rejection(
    retry_after: float | None, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
) -> Rejection:
    return Rejection(code, "not now", retry_after=retry_after)


@dataclass
class Replica(pb_grpc.GenerationServiceServicer):
    """Answers with its name; refuses the first `refusals` calls."""

    name: str
    refusal: Callable[[], Rejection] = lambda: _rejection(SOON)
    refusals: int = 0
    asked: int = 0
    chats: set[str] = field(default_factory=set)

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:  # noqa: N802
        self.asked += 1
        self.chats.add(request.chat_key)
        if self.asked <= self.refusals:
            await self.refusal().abort(context)
        return pb.GenerateResponse(model_version=self.name)

    async def GenerateStream(  # noqa: N802
        self, request: pb.GenerateStreamRequest, context: Any
    ) -> AsyncIterator[pb.GenerateStreamResponse]:
        yield pb.GenerateStreamResponse(response=await self.Generate(request.request, context))

    async def ListModels(  # noqa: N802
        self, request: pb.ListModelsRequest, context: Any
    ) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[pb.Model(bot=self.name)])


@asynccontextmanager
async def serving(replica: Replica) -> AsyncIterator[tuple[grpc.aio.Server, str]]:
    server = grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(replica, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield server, f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.mark.parametrize(
    "refusal",
    [lambda: _rejection(SOON), lambda: _rejection(SOON, grpc.StatusCode.RESOURCE_EXHAUSTED)],
)
async def test_asks_again_when_told_to_come_back(refusal: Callable[[], Rejection]) -> None:
    replica = Replica("only", refusal, refusals=3)
    async with serving(replica) as (_, address), GenerationClient(address) as client:
        answer = await client.generate("avtobus", [turn("Привет")])
        assert [model.bot for model in await client.list_models()] == ["only"]
        streamed = [event async for event in client.stream("avtobus", [turn("Привет")])]
    assert answer.model_version == streamed[-1].response.model_version == "only"
    assert replica.asked == 5


async def test_what_a_server_cancels_as_it_ends_is_asked_again() -> None:
    replica = Replica("only", lambda: _rejection(None, grpc.StatusCode.CANCELLED), refusals=1)
    async with serving(replica) as (_, address):
        async with GenerationClient(address) as client:
            answer = await client.generate("avtobus", [turn("Привет")])
        assert (answer.model_version, replica.asked) == ("only", 2)
        async with GenerationClient(address, retry=False) as client:
            replica.refusals = 3
            with pytest.raises(RetryLater):
                await client.generate("avtobus", [turn("Привет")])


async def test_a_mistake_is_not_asked_again() -> None:
    replica = Replica("only", lambda: InvalidArgument("turns", "none"), refusals=1)
    async with serving(replica) as (_, address), GenerationClient(address) as client:
        with pytest.raises(InvalidRequest):
            await client.generate("avtobus", [])
    assert replica.asked == 1


async def test_gives_up_after_a_few_times_and_says_when_to_come_back() -> None:
    replica = Replica("only", refusals=100)
    async with serving(replica) as (_, address), GenerationClient(address) as client:
        with pytest.raises(RetryLater) as refused:
            await client.generate("avtobus", [turn("Привет")])
    assert refused.value.retry_after == pytest.approx(SOON)
    assert replica.asked == 5


async def test_who_could_not_come_back_in_time_hears_of_the_refusal_at_once() -> None:
    replica = Replica("only", lambda: _rejection(30.0), refusals=100)
    async with serving(replica) as (_, address), GenerationClient(address) as client:
        with pytest.raises(RetryLater) as refused:
            await client.generate("avtobus", [turn("Привет")], timeout=20.0)
    assert refused.value.retry_after == 30.0
    assert replica.asked == 1


async def test_without_retry_a_refusal_is_told_at_once() -> None:
    replica = Replica("only", refusals=1)
    async with serving(replica) as (_, address), GenerationClient(address, retry=False) as client:
        with pytest.raises(RetryLater):
            await client.generate("avtobus", [turn("Привет")])
    assert replica.asked == 1


async def test_too_large_a_message_is_a_mistake_and_not_for_later(service: Service) -> None:
    for size in (MAX_MESSAGE_BYTES, MAX_RECEIVED_BYTES):
        with pytest.raises(GenerationError) as refused:
            await service.client.generate(BOT, [turn("x" * size)])
        assert not isinstance(refused.value, RetryLater)


async def test_a_chat_keeps_its_replica_and_moves_on_when_that_one_goes() -> None:
    replicas = [Replica(name) for name in ("one", "two", "three")]
    chats = [f"чат {number}" for number in range(40)]
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(serving(replica)) for replica in replicas]
        address = "ipv4:" + ",".join(address for _, address in started)
        client = await stack.enter_async_context(GenerationClient(address))

        async def replica_of(chat: str) -> str:
            answer = await client.generate("avtobus", [turn("Привет")], chat_key=chat)
            return answer.model_version

        first = [await replica_of(chat) for chat in chats]
        assert [await replica_of(chat) for chat in chats] == first
        assert set(first) == {"one", "two", "three"}

        await started[0][0].stop(0)
        moved = await asyncio.gather(*map(replica_of, chats))
        stayed = [now for before, now in zip(first, moved, strict=True) if before != "one"]
        assert stayed == [before for before in first if before != "one"]
        assert "one" not in moved
