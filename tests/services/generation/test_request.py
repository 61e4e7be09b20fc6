"""What the service refuses, by which status and by the path of which field."""

from typing import Any

import grpc
import pytest

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import BotUnavailable, InvalidRequest, turn
from tests.conftest import BOT
from tests.services.generation.conftest import Service

BAD_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"bot": ""}, "bot"),
    ({"turns": []}, "turns"),
    ({"turns": [turn("а")] * 257}, "turns"),
    ({"turns": [turn()]}, "turns[0].messages"),
    ({"turns": [turn("а"), turn(*"б" * 65)]}, "turns[1].messages"),
    ({"turns": [turn("а" * 16385)]}, "turns[0].messages"),
    ({"turns": [turn("а", " \n ")]}, "turns[0].messages[1]"),
    ({"turns": [pb.Turn(messages=["а"])]}, "turns[0].role"),
    ({"candidates": 9}, "candidates"),
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


CALLS = [(stream, *row) for stream in (False, True) for row in BAD_REQUESTS]


@pytest.mark.parametrize(
    ("stream", "change", "field"), [*CALLS, (True, {"candidates": 2}, "candidates")]
)
async def test_a_bad_field_is_refused_by_its_path(
    service: Service, stream: bool, change: dict[str, Any], field: str
) -> None:
    values = {"bot": BOT, "turns": [turn("Привет")], **change}
    client: Any = service.client
    call = anext(client.stream(**values)) if stream else client.generate(**values)
    with pytest.raises(InvalidRequest) as refused:
        await call
    assert list(refused.value.fields) == [f"request.{field}" if stream else field]


@pytest.mark.parametrize(
    "change",
    [
        *({"bot": bot} for bot in ("nobody", "../avtobus", "АВТОБУС", "a" * 5000)),
        {"version": "20200101-000000-00000000"},
    ],
)
async def test_an_unknown_one_is_not_found(service: Service, change: dict[str, Any]) -> None:
    values = {"bot": BOT, "turns": [turn("Привет")], **change}
    with pytest.raises(BotUnavailable) as refused:
        await service.client.generate(**values)
    assert refused.value.code is grpc.StatusCode.NOT_FOUND
