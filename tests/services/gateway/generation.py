"""A generation service for the gateway that answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc


def candidate(*messages: str, action: int = pb.MODERATION_ACTION_NONE) -> pb.Candidate:
    said = pb.Candidate(messages=messages)
    said.moderation.action = action  # type: ignore[assignment]
    return said


class FakeGeneration(pb_grpc.GenerationServiceServicer):
    """Answers with the candidates it is given, else with the last message's echo."""

    def __init__(self) -> None:
        self.address = ""
        self.reset()

    def reset(self) -> None:
        self.requests: list[pb.GenerateRequest] = []
        self.forgets_until = 0.0
        self.candidates: Sequence[pb.Candidate] | None = None
        self.code: grpc.StatusCode | None = None
        self.hold: asyncio.Event | None = None
        self.fails_after: int | None = None

    def heard(self) -> list[list[str]]:
        """The messages of each turn of the last request."""
        return [list(turn.messages) for turn in self.requests[-1].turns]

    async def Generate(  # noqa: N802
        self, request: pb.GenerateRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.GenerateResponse:
        self.requests.append(request)
        if self.hold is not None:
            await self.hold.wait()
        if self.fails_after is not None and len(self.requests) > self.fails_after:
            self.code = grpc.StatusCode.UNAVAILABLE
        if self.code is not None:
            await context.abort(self.code, "no")
        echo = candidate(f"эхо: {request.turns[-1].messages[-1]}")
        said = [echo] if self.candidates is None else self.candidates
        return pb.GenerateResponse(candidates=said, model_version="toy/1")

    def GenerateStream(self, request: object, context: object) -> Any:  # noqa: N802
        raise NotImplementedError

    async def ListModels(  # noqa: N802
        self, request: object, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.ListModelsResponse:
        if self.code is not None:
            await context.abort(self.code, "no")
        model = pb.Model(bot="avtobus", version="toy/1", forgets_until=self.forgets_until)
        return pb.ListModelsResponse(models=[model])


@asynccontextmanager
async def fake_generation() -> AsyncIterator[FakeGeneration]:
    fake, server = FakeGeneration(), grpc.aio.server()
    pb_grpc.add_GenerationServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield fake
    await server.stop(None)
