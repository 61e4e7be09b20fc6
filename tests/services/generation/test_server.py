"""The service over real gRPC: what it answers, what it refuses, and what it survives."""

import asyncio
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from contracts.prompt import PromptFormat, render, render_prompt, reply_messages
from contracts.refusal import Refusal
from contracts.turn import Role, Turn
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import (
    BotUnavailable,
    DeadlineExceeded,
    InvalidRequest,
    RetryLater,
    SyncGenerationClient,
    turn,
)
from services.generation.model_store import ModelStore
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.generation.conftest import LONG, Service, arrived, running, until
from training_jobs.tokenizer import load_tokenizer, vocabulary


async def test_answers_with_all_that_the_contract_promises(service: Service, toy: Toy) -> None:
    response = await service.client.generate(BOT, [turn("Привет")], seed=1)
    assert response.model_version == toy.manifest.id
    assert response.turns_used == 1
    assert response.prompt_tokens > 2
    assert 0 <= response.timings.queue <= response.timings.first_token <= response.timings.total
    [only] = response.candidates
    assert only.moderation.action == pb.MODERATION_ACTION_NONE
    assert only.finish_reason in (pb.FINISH_REASON_STOP, pb.FINISH_REASON_LENGTH)
    assert all(only.messages)


async def test_a_seed_makes_the_answer_repeatable(service: Service) -> None:
    replies = [
        await service.client.generate(
            BOT, [turn("Долго ещё?")], seed=seed, sampling=LONG, candidates=2
        )
        for seed in (5, 5, 6)
    ]
    first, again, other = ([list(each.messages) for each in reply.candidates] for reply in replies)
    assert first == again
    assert first != other


@pytest.mark.parametrize("wanted", [0, 1, 2, 4])
async def test_gives_as_many_candidates_as_asked(service: Service, wanted: int) -> None:
    response = await service.client.generate(BOT, [turn("Привет")], candidates=wanted)
    assert len(response.candidates) == (wanted or 1)


@pytest.mark.parametrize("limit", [1, 7, 128])
async def test_never_exceeds_the_limit_of_new_tokens(service: Service, limit: int) -> None:
    response = await service.client.generate(
        BOT, [turn("Привет")], max_new_tokens=limit, sampling=LONG, candidates=2
    )
    assert all(each.tokens <= limit for each in response.candidates)


async def test_a_stream_ends_with_the_response_that_its_text_adds_up_to(service: Service) -> None:
    events = [
        event async for event in service.client.stream(BOT, [turn("Привет")], seed=3, sampling=LONG)
    ]
    text = "".join(event.delta for event in events[:-1])
    response = events[-1].response
    assert reply_messages(text, PromptFormat.TURNS_1) == list(response.candidates[0].messages)
    whole = await service.client.generate(BOT, [turn("Привет")], seed=3, sampling=LONG)
    assert list(whole.candidates[0].messages) == list(response.candidates[0].messages)


async def test_a_reply_is_never_empty(service: Service) -> None:
    for seed in range(8):
        response = await service.client.generate(
            BOT, [turn("Привет")], seed=seed, candidates=4, sampling=LONG
        )
        assert all(each.tokens for each in response.candidates)


async def test_a_reply_is_based_on_the_newest_turns_that_the_bot_allows(
    toy: Toy, tmp_path: Path
) -> None:
    (tmp_path / f"{BOT}.yaml").write_text(f"name: {BOT}\ngeneration: {{prompt_turns: 2}}\n")
    async with running(tmp_path, toy.models_dir) as service:
        response = await service.client.generate(BOT, [turn("раз"), turn("два"), turn("три")])
        assert response.turns_used == 2


async def test_a_stop_string_ends_a_reply(service: Service) -> None:
    vowels = ["а", "е", "и", "о"]  # there is one in whatever the toy says
    sampling = pb.Sampling(temperature=0.0, stop=vowels)
    response = await service.client.generate(BOT, [turn("Привет")], sampling=sampling)
    [only] = response.candidates
    assert only.finish_reason == pb.FINISH_REASON_STOP
    assert not set(vowels) & set("".join(only.messages))


async def _busy(service: Service) -> bool:
    return service.metric("running") > 0


async def _idle(service: Service) -> bool:
    return service.metric("running") + service.metric("queue_size") == 0


async def test_a_deadline_ends_the_request_and_frees_the_engine(service: Service) -> None:
    late, labels = 0, {"bot": BOT, "code": "DEADLINE_EXCEEDED"}
    before = service.metric("requests_total", **labels)

    async def counted() -> bool:
        """Ask until one has come that far before its deadline passes."""
        nonlocal late
        with pytest.raises(DeadlineExceeded):
            await service.client.generate(BOT, [turn("Привет")], timeout=0.05 * 2**late)
        late += 1
        return service.metric("requests_total", **labels) > before

    with service.standing_still():
        await until(counted)
        await until(lambda: _idle(service))
    assert service.metric("requests_total", **labels) - before <= late


async def test_a_client_that_goes_away_frees_the_engine(service: Service) -> None:
    asks = [
        asyncio.create_task(
            service.client.generate(BOT, [turn("Привет")], sampling=LONG, candidates=4)
        )
        for _ in range(4)
    ]
    with service.standing_still():
        await until(lambda: _busy(service))
        for ask in asks:
            ask.cancel()
        await until(lambda: _idle(service))
    assert service.metric("requests_total", bot=BOT, code="CANCELLED") >= 1


async def test_the_prompt_is_what_training_renders_and_special_token_text_is_only_text(
    service: Service, toy: Toy
) -> None:
    said = (Turn(speaker="u", role=Role.OTHER, messages=("раз</s><s>два<pad>", "😀")),)
    answer = Turn(speaker="p", role=Role.PERSONA, messages=("да",))
    version = ModelStore(toy.bots_dir, toy.models_dir).open(BOT, toy.manifest.id)
    trained, _ = load_tokenizer(toy.run / "model")
    learned = render([*said, answer], PromptFormat.TURNS_1, vocabulary(trained), 999)
    served = render_prompt(said, PromptFormat.TURNS_1, version.vocabulary, 999)
    assert served.ids == learned.ids[: len(served.ids)]
    assert [token for token in served.ids if token < 5] == [2, 1]
    response = await service.client.generate(BOT, [turn("раз</s><s>два<pad>", "😀")])
    assert response.prompt_tokens == len(served.ids)


async def test_a_greedy_draw_gives_the_same_candidate_as_often_as_asked(service: Service) -> None:
    greedy = pb.Sampling(temperature=0.0)
    response = await service.client.generate(
        BOT, [turn("Привет")], sampling=greedy, candidates=3, seed=2**64 - 1
    )
    assert len({tuple(each.messages) for each in response.candidates}) == 1
    assert len(response.candidates) == 3


async def test_callers_cannot_make_new_metric_labels(service: Service) -> None:
    for name in ("evil1", "evil2"):
        with pytest.raises(InvalidRequest):
            await service.client.generate(name, [])
    bots = {
        sample.labels["bot"]
        for metric in service.registry.collect()
        for sample in metric.samples
        if "bot" in sample.labels
    }
    assert bots <= {BOT, ""}


async def test_no_text_of_a_chat_is_logged(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await service.client.generate(BOT, [turn("секретное слово")])
    with pytest.raises(InvalidRequest):
        await service.client.generate(BOT, [turn("секретное слово " * 2000)])
    printed = capsys.readouterr()
    assert "answered" in printed.out + printed.err
    assert "секретное" not in printed.out + printed.err


async def test_lists_what_is_served(service: Service, toy: Toy) -> None:
    [model] = await service.client.list_models()
    assert (model.bot, model.version, model.problem) == (BOT, toy.manifest.id, "")
    assert list(model.loaded) == [toy.manifest.id]


async def test_health_is_told_for_the_service_and_for_each_bot(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "generation.v1.GenerationService", "generation.v1.Liveness", BOT):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_names_the_service(service: Service) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        async for answer in stub.ServerReflectionInfo(iter(asked)):
            names = [each.name for each in answer.list_services_response.service]
            assert "generation.v1.GenerationService" in names


async def test_metrics_are_on_their_own_port(service: Service) -> None:
    url = f"http://127.0.0.1:{service.ports.metrics}/metrics"
    with await asyncio.to_thread(urllib.request.urlopen, url) as page:
        assert b"persona_generation_requests_total" in page.read()
    before = service.metric("requests_total", bot=BOT, code="OK")
    await service.client.generate(BOT, [turn("Привет")])
    assert service.metric("requests_total", bot=BOT, code="OK") == before + 1
    assert service.metric("generated_tokens_total", bot=BOT) > 0


async def test_more_requests_than_allowed_are_told_to_come_back(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir, max_requests=1) as service:
        asks = [
            service.client.generate(BOT, [turn("Привет")], sampling=LONG, candidates=4)
            for _ in range(8)
        ]
        answers = await asyncio.gather(*asks, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, RetryLater)]
        assert refused
        assert len(refused) < len(answers)
        assert all(each.code is grpc.StatusCode.RESOURCE_EXHAUSTED for each in refused)
        assert all(each.retry_after > 0 for each in refused)
        assert service.metric("rejected_total", reason="queue_full") == len(refused)


async def test_who_would_be_late_is_told_at_once(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir, max_batch=4) as service:

        async def ask(timeout: float) -> pb.GenerateResponse:
            return await service.client.generate(
                BOT, [turn("Привет")], sampling=LONG, candidates=4, timeout=timeout
            )

        known = await ask(PATIENCE)  # now it is known how long a reply takes
        with service.standing_still():
            asks = [asyncio.create_task(ask(10 * PATIENCE)) for _ in range(40)]
            await until(lambda: arrived(service, 40))
            with pytest.raises(RetryLater, match="deadline would pass"):
                await ask(20 * known.timings.total)
        assert service.metric("rejected_total", reason="would_be_late") == 1
        for each in asks:
            each.cancel()
        await until(lambda: _idle(service))


async def test_a_request_id_is_in_what_is_logged(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await service.client.generate(BOT, [turn("Привет")], request_id="update-17")
    with pytest.raises(InvalidRequest):
        await service.client.generate(BOT, [], request_id="update-18")
    printed = "".join(capsys.readouterr())
    assert "update-17" in printed
    assert "update-18" in printed


async def test_a_taken_port_is_refused_by_name(service: Service, toy: Toy) -> None:
    for name, port in (("grpc_port", service.ports.grpc), ("metrics_port", service.ports.metrics)):
        with pytest.raises(Refusal, match=name.upper()):
            async with running(toy.bots_dir, toy.models_dir, **{name: port}):
                pass


async def test_the_blocking_client_does_the_same(service: Service) -> None:
    await asyncio.to_thread(_ask_blocking, service.address)


def _ask_blocking(address: str) -> None:
    with SyncGenerationClient(address) as client:
        response = client.generate(BOT, [turn("Привет")], seed=1, request_id="r-1")
        events = list(client.stream(BOT, [turn("Привет")], seed=1))
        assert events[-1].response.candidates == response.candidates
        assert [model.bot for model in client.list_models()] == [BOT]
        with pytest.raises(BotUnavailable):
            client.generate("nobody", [turn("Привет")])
        with pytest.raises(BotUnavailable):
            list(client.stream("nobody", [turn("Привет")]))
