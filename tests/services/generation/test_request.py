"""What the service refuses, by which status and by the path of which field."""

import grpc
import pytest

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import BotUnavailable, InvalidRequest, turn
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import Service

BAD_REQUESTS = [
    ({"bot": ""}, "bot"),
    ({"turns": []}, "turns"),
    ({"turns": [turn("а")] * 257}, "turns"),
    ({"turns": [turn()]}, "turns[0].messages"),
    ({"turns": [turn("а"), turn(*"б" * 65)]}, "turns[1].messages"),
    ({"turns": [turn("а" * 16385)]}, "turns[0].messages"),
    ({"turns": [turn("а", " \n ")]}, "turns[0].messages[1]"),
    ({"turns": [pb.Turn(messages=["а"])]}, "turns[0].role"),
    ({"candidates": 5}, "candidates"),
    ({"max_new_tokens": 0}, "max_new_tokens"),
    ({"max_new_tokens": 129}, "max_new_tokens"),
    ({"chat_key": "к" * 129}, "chat_key"),
    ({"version": "v" * 129}, "version"),
    ({"sampling": pb.Sampling(temperature=2.5)}, "sampling.temperature"),
    ({"sampling": pb.Sampling(temperature=float("nan"))}, "sampling.temperature"),
    ({"sampling": pb.Sampling(top_p=0.0)}, "sampling.top_p"),
    ({"sampling": pb.Sampling(repetition=0.5)}, "sampling.repetition"),
    ({"sampling": pb.Sampling(stop=["а"] * 5)}, "sampling.stop"),
    ({"sampling": pb.Sampling(stop=["а", "б" * 33])}, "sampling.stop[1]"),
]


@pytest.mark.parametrize(
    ("change", "field"), BAD_REQUESTS, ids=[field for _, field in BAD_REQUESTS]
)
async def test_a_bad_field_is_refused_by_its_path(
    service: Service, change: dict[str, object], field: str
) -> None:
    values = {"bot": BOT, "turns": [turn("Привет")], **change}
    with pytest.raises(InvalidRequest) as refused:
        await service.client.generate(**values)  # type: ignore[arg-type]
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"candidates": 2}, "request.candidates"), ({"turns": []}, "request.turns")],
)
async def test_a_stream_refuses_by_the_whole_path(
    service: Service, change: dict[str, object], field: str
) -> None:
    values = {"bot": BOT, "turns": [turn("Привет")], **change}
    with pytest.raises(InvalidRequest) as refused:
        async for _ in service.client.stream(**values):  # type: ignore[arg-type]
            pass
    assert list(refused.value.fields) == [field]


@pytest.mark.parametrize("bot", ["nobody", "../avtobus", "АВТОБУС", "a" * 5000])
async def test_an_unknown_bot_is_not_found(service: Service, bot: str) -> None:
    with pytest.raises(BotUnavailable) as refused:
        await service.client.generate(bot, [turn("Привет")])
    assert refused.value.code is grpc.StatusCode.NOT_FOUND


async def test_a_version_that_is_not_loaded_is_not_found(service: Service, toy: Toy) -> None:
    answered = await service.client.generate(BOT, [turn("Привет")], version=toy.manifest.id)
    assert answered.model_version == toy.manifest.id
    with pytest.raises(BotUnavailable) as refused:
        await service.client.generate(BOT, [turn("Привет")], version="20200101-000000-00000000")
    assert refused.value.code is grpc.StatusCode.NOT_FOUND
