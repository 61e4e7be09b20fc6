"""Random requests: each ends with a status that says what is wrong with it, and none does harm.

Messages come from the proto's descriptors; they travel as bytes, so that they can also be what no
client of ours would send: cut, garbage, or with text that is not UTF-8.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import mul
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import turn
from services.generation.servicer import MAX_MESSAGE_BYTES
from tests.conftest import BOT
from tests.services.generation.conftest import Service

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]
FUZZED = [method for method in SERVICE.methods if method.input_type.fields]
EXPECTED = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"}
Ask = tuple[str, bytes]
"""An RPC's name and what is sent to it."""
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
BATCH = 4
"""Requests sent at once."""

SPECIAL = ("</s>", "<s>", "<|endoftext|>", "<pad>", "<unk>", "\0", "\n", "\r\x1b", "\ufeff\u202e")
WORDS = ("Привет", "Долго ещё стоим?", " ", "😀", "../", "х" * 40, BOT)
SHORT = st.text(max_size=12) | st.lists(st.sampled_from(SPECIAL + WORDS), max_size=6).map("".join)
TEXTS = st.builds(mul, SHORT, st.sampled_from((1,) * 12 + (40, 4_000, 100_000)))
SEEDS = st.integers(0, 2**64 - 1) | st.sampled_from((2**63 - 1, 2**63, 2**64 - 1))

WILD: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_FLOAT: st.floats(width=32),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 300) | st.sampled_from((2**31, 2**32 - 1)),
    FieldDescriptor.TYPE_UINT64: SEEDS,
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 300) | st.sampled_from((-(2**31), 2**31 - 1)),
}
SANE: dict[str, st.SearchStrategy[Any]] = {
    "bot": st.just(BOT),
    "role": st.sampled_from((pb.ROLE_PERSONA, pb.ROLE_OTHER)),
    "speaker": SHORT,
    "messages": st.builds(mul, SHORT, st.sampled_from((1,) * 8 + (40, 300))).map("Привет".__add__),
    "chat_key": SHORT.map(lambda text: text[:128]),
    "candidates": st.sampled_from((0, 1, 1, 1, 4)),
    "seed": SEEDS,
    "max_new_tokens": st.integers(1, 16),
    "version": st.just(""),
    "temperature": st.floats(0, 2, width=32),
    "top_p": st.floats(0, 1, width=32, exclude_min=True),
    "top_k": st.integers(0, 1000),
    "repetition": st.floats(1, 2, width=32),
    "frequency": st.floats(-2, 2, width=32),
    "presence": st.floats(-2, 2, width=32),
    "stop": st.text(min_size=1, max_size=32) | st.sampled_from(("а", "\n", "</s>")),
}
NEEDED = {"request", "bot", "turns", "role", "messages"}


def _repeat(values: list[Any], times: int) -> list[Any]:
    """The values over and over, unless that comes to megabytes."""
    return values * (times if len(repr(values)) * times < 2 * MAX_MESSAGE_BYTES else 1)


@st.composite
def messages(draw: st.DrawFn, kind: Descriptor, sane: int) -> dict[str, Any]:
    """Fields of a message, absent or present; about `sane` of 20 are what the service takes."""
    chosen = {}
    for field in kind.fields:
        good = draw(st.integers(1, 20)) <= sane
        if field.message_type:
            value: st.SearchStrategy[Any] = messages(field.message_type, sane)
        else:
            value = SANE[field.name] if good else WILD[field.type]
        if field.is_repeated and good:
            value = st.lists(value, min_size=1, max_size=3)
        elif field.is_repeated:
            times = st.sampled_from((1,) * 6 + (40, 300))
            value = st.builds(_repeat, st.lists(value, max_size=2), times)
        given_of_8 = (8 if good else 7) if field.name in NEEDED else 4
        if draw(st.integers(1, 8)) <= given_of_8:
            chosen[field.name] = draw(value)
    return chosen


def _with_surrogate(data: bytes) -> bytes:
    """Bots' names begin with a lone surrogate."""
    return data.replace(BOT[:3].encode(), "\ud800".encode(errors="surrogatepass"))


def _without_utf8(data: bytes) -> bytes:
    return data.replace("П".encode(), b"\xff\xfe")


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """An RPC's name and what is sent to it: mostly a message of the proto."""
    method = draw(st.sampled_from(FUZZED))
    sane = draw(st.sampled_from((20, 19, 19, 16, 0)))
    fields = draw(messages(method.input_type, sane))
    data = GetMessageClass(method.input_type)(**fields).SerializeToString()
    match draw(st.integers(0, 19)):
        case 16:
            data = data[: draw(st.integers(0, len(data)))]
        case 17:
            data = draw(st.binary())
        case 18:
            data = _with_surrogate(data)
        case 19:
            data = _without_utf8(data)
    return method.name, data


@pytest.fixture
def channel(service: Service) -> Iterator[grpc.Channel]:
    """A blocking channel, for a thread of its own: the service runs in the tests' event loop."""
    with grpc.insecure_channel(service.address, OPTIONS) as channel:
        yield channel


def _statuses(channel: grpc.Channel, asked: Sequence[Ask]) -> list[str]:
    """Send bytes as they are, all at once; an RPC's only answer is read as a stream of one."""
    rpcs: list[Any] = [channel.unary_stream(f"/{SERVICE.full_name}/{rpc}") for rpc, _ in asked]
    calls = [rpc(data, timeout=60) for rpc, (_, data) in zip(rpcs, asked, strict=True)]
    for call in calls:
        with suppress(grpc.RpcError):
            list(call)
    return [call.code().name for call in calls]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_random_requests_end_well_and_do_no_harm(
    service: Service, channel: grpc.Channel, count: int
) -> None:
    ended: Counter[tuple[str, str]] = Counter()

    @settings(max_examples=count // BATCH, deadline=None, derandomize=True)
    @given(st.lists(asks(), min_size=BATCH, max_size=BATCH))
    def send(batch: list[Ask]) -> None:
        for (rpc, data), status in zip(batch, _statuses(channel, batch), strict=True):
            assert status in EXPECTED, f"{rpc} ended with {status}: {data[:1000]!r}"
            ended[rpc, status] += 1

    await asyncio.to_thread(send)
    assert ended.total() >= count
    assert all(ended[method.name, "OK"] > count / 40 for method in FUZZED), ended
    assert service.metric("engine_restarts_total") == 0
    assert (await service.client.generate(BOT, [turn("Привет")])).candidates


async def test_bytes_that_are_no_message_are_an_invalid_argument(channel: grpc.Channel) -> None:
    asked, good = [("ListModels", b"\xff")], pb.GenerateRequest(bot=BOT, turns=[turn("Привет")])
    for rpc, message in (
        ("Generate", good),
        ("GenerateStream", pb.GenerateStreamRequest(request=good)),
    ):
        data = message.SerializeToString()
        spoilt = (data[:-1], data + b"\xff", _with_surrogate(data), _without_utf8(data))
        asked += [(rpc, each) for each in spoilt]
    ended = await asyncio.to_thread(_statuses, channel, asked)
    assert ended == ["INVALID_ARGUMENT"] * len(asked)
