"""The service over real gRPC: what it answers, what it says of itself, and what it survives."""

import asyncio
import os
import signal
from math import isnan
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from contracts.conversation import CONTEXT_TURNS
from contracts.prompt import PromptFormat, Vocabulary, render, render_prompt, reply_messages
from contracts.refusal import Refusal
from contracts.turn import Role, Turn
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import (
    BotUnavailable,
    DeadlineExceeded,
    GenerationError,
    InvalidRequest,
    RetryLater,
    turn,
)
from services.generation.engine import engine as engine_module
from services.generation.model_store import ModelStore
from tests.conftest import BOT, PATIENCE, Toy
from tests.services.generation.conftest import BABBLE, Service, engine_pids, running, until
from training_jobs.tokenizer import load_tokenizer

GREEDY = pb.Sampling(temperature=0.0)


async def test_answers_with_all_that_the_contract_promises(service: Service, toy: Toy) -> None:
    version = toy.manifest.id
    response = await service.client.generate(BOT, [turn("Привет")], seed=1, version=version)
    assert response.model_version == toy.manifest.id
    assert response.turns_used == 1
    assert response.prompt_tokens > 2
    [only] = response.candidates
    assert only.moderation.action == pb.MODERATION_ACTION_NONE
    assert only.finish_reason in (pb.FINISH_REASON_STOP, pb.FINISH_REASON_LENGTH)
    assert all(only.messages)


async def test_a_seed_makes_the_answer_repeatable(service: Service) -> None:
    first, again, other = [
        [list(each.messages) for each in (await service.ask(seed=seed)).candidates]
        for seed in (5, 5, 6)
    ]
    assert first == again
    assert first != other


@pytest.mark.parametrize("candidates", [0, 1, 2, 4])
@pytest.mark.parametrize("sampling", [BABBLE, GREEDY], ids=["babble", "greedy"])
async def test_gives_as_many_candidates_as_asked_and_times_each_request(
    service: Service, candidates: int, sampling: pb.Sampling
) -> None:
    def counts() -> list[float]:
        names = ("first_token_duration", "mean_time_per_token_duration", "request_duration")
        return [service.metric(f"{name}_seconds_count") for name in names]

    before, tokens = counts(), service.metric("generated_tokens_total", bot=BOT)
    fields = {"candidates": candidates, "sampling": sampling, "seed": 2**64 - 1}
    response = await service.ask(max_new_tokens=7, **fields)
    assert len(response.candidates) == (candidates or 1)
    assert all(1 <= each.tokens <= 7 for each in response.candidates)
    if sampling is GREEDY:
        assert len({tuple(each.messages) for each in response.candidates}) == 1
    timings = response.timings
    assert 0 <= timings.queue < timings.first_token < timings.total
    assert counts() == [count + 1 for count in before]
    tokens += sum(each.tokens for each in response.candidates)
    assert service.metric("generated_tokens_total", bot=BOT) == tokens


async def test_a_stream_ends_with_the_response_that_its_text_adds_up_to(service: Service) -> None:
    stream = service.client.stream(BOT, [turn("Привет")], seed=4, sampling=BABBLE)
    *pieces, last = [event async for event in stream]
    text = "".join(event.delta for event in pieces)
    streamed = list(last.response.candidates[0].messages)
    assert reply_messages(text, PromptFormat.TURNS_1) == streamed
    whole = await service.ask(seed=4, candidates=1)
    assert list(whole.candidates[0].messages) == streamed


async def test_a_reply_is_based_on_the_newest_turns_as_many_as_the_records_had(
    service: Service, toy: Toy
) -> None:
    assert toy.manifest.context_turns == CONTEXT_TURNS
    turns = [turn("раз"), turn("два")] * CONTEXT_TURNS
    response = await service.client.generate(BOT, turns)
    assert response.turns_used == CONTEXT_TURNS


async def test_a_stop_string_ends_a_reply(service: Service) -> None:
    vowels = ["а", "е", "и", "о"]  # there is one in whatever the toy says
    sampling = pb.Sampling(temperature=0.0, stop=vowels)
    [only] = (await service.ask(sampling=sampling, candidates=1)).candidates
    assert only.finish_reason == pb.FINISH_REASON_STOP
    assert not set(vowels) & set("".join(only.messages))


async def test_a_deadline_ends_the_request_and_frees_the_engine(service: Service) -> None:
    late, labels = 0, {"bot": BOT, "code": "DEADLINE_EXCEEDED"}
    before = service.metric("requests_total", **labels)

    async def counted() -> bool:
        """Ask until a request has come that far before its deadline passes."""
        nonlocal late
        with pytest.raises(DeadlineExceeded):
            await service.client.generate(BOT, [turn("Привет")], timeout=0.05 * 2**late)
        late += 1
        return service.metric("requests_total", **labels) > before

    with service.frozen_engine():
        await until(counted)
        await until(lambda: service.has_arrived(0))
    assert service.metric("requests_total", **labels) - before <= late


async def test_a_client_that_goes_away_frees_the_engine(service: Service) -> None:
    asks = [service.ask() for _ in range(4)]
    with service.frozen_engine():
        await until(lambda: service.has_arrived(4))
        for ask in asks:
            ask.cancel()
        await until(lambda: service.has_arrived(0))
    assert service.metric("requests_total", bot=BOT, code="CANCELLED") >= 1


async def test_prompts_are_rendered_as_in_training(service: Service, toy: Toy) -> None:
    said = (Turn(speaker="u", role=Role.OTHER, messages=("раз</s><s>два<pad>", "😀")),)
    answer = Turn(speaker="p", role=Role.PERSONA, messages=("да",))
    version = ModelStore(toy.bots_dir, toy.models_dir).open(BOT, toy.manifest.id)
    trained, _ = load_tokenizer(toy.run / "model")
    learned = render([*said, answer], PromptFormat.TURNS_1, Vocabulary.of(trained), 999)
    served = render_prompt(said, PromptFormat.TURNS_1, version.vocabulary, 999)
    assert served.ids == learned.ids[: len(served.ids)]
    assert [token for token in served.ids if token < 5] == [2, 1]
    response = await service.client.generate(BOT, [turn(*said[0].messages)])
    assert response.prompt_tokens == len(served.ids)


async def test_callers_cannot_make_new_metric_labels(service: Service) -> None:
    for name in ("evil1", "evil2"):
        with pytest.raises(InvalidRequest):
            await service.client.generate(name, [])
    samples = [sample for metric in service.registry.collect() for sample in metric.samples]
    assert {each.labels["bot"] for each in samples if "bot" in each.labels} <= {BOT, ""}


async def test_a_request_id_is_in_what_is_logged_and_no_text_of_a_chat(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    await service.client.generate(BOT, [turn("секретное слово")], request_id="update-17")
    with pytest.raises(InvalidRequest):
        await service.client.generate(
            BOT, [turn("секретное слово " * 2000)], request_id="update-18"
        )
    printed = "".join(capsys.readouterr())
    assert all(text in printed for text in ("answered", "update-17", "rejected", "update-18"))
    assert "секретное" not in printed


async def test_says_what_is_served(service: Service, toy: Toy) -> None:
    model = await service.model()
    assert (model.version, model.problem) == (toy.manifest.id, "")
    assert list(model.loaded) == [toy.manifest.id]
    for name in ("", "generation.v1.GenerationService", "generation.v1.Liveness", BOT):
        assert await service.is_healthy(name)
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        async for answer in stub.ServerReflectionInfo(iter(asked)):
            names = [each.name for each in answer.list_services_response.service]
            assert "generation.v1.GenerationService" in names


async def test_more_requests_than_allowed_are_told_to_come_back(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir, max_requests=1) as service:
        answers = await asyncio.gather(*(service.ask() for _ in range(8)), return_exceptions=True)
        refused = [each for each in answers if isinstance(each, RetryLater)]
        assert 0 < len(refused) < len(answers)
        assert all(each.code is grpc.StatusCode.RESOURCE_EXHAUSTED for each in refused)
        assert all(each.retry_after > 0 for each in refused)
        assert service.metric("rejected_total", reason="queue_full") == len(refused)


async def test_who_would_be_late_is_told_at_once(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir, max_batch=4) as service:
        known = await service.ask()  # now it is known how long a reply takes
        with service.frozen_engine():
            asks = [service.ask(timeout=10 * PATIENCE) for _ in range(40)]
            await until(lambda: service.has_arrived(40))
            with pytest.raises(RetryLater, match="deadline would pass"):
                await service.ask(timeout=20 * known.timings.total)
        assert service.metric("rejected_total", reason="would_be_late") == 1
        for each in asks:
            each.cancel()
        await until(lambda: service.has_arrived(0))


async def test_a_taken_port_is_refused_by_name(service: Service, toy: Toy) -> None:
    for name, port in service.ports._asdict().items():
        with pytest.raises(Refusal, match=f"{name.upper()}_PORT"):
            async with running(toy.bots_dir, toy.models_dir, **{f"{name}_port": port}):
                pass


async def test_a_stream_of_an_unknown_bot_is_refused_too(service: Service) -> None:
    with pytest.raises(BotUnavailable):
        await anext(service.client.stream("nobody", [turn("Привет")]))


async def test_is_ready_before_anything_is_published(toy: Toy, tmp_path: Path) -> None:
    async with running(toy.bots_dir, tmp_path / "models") as service:
        await service.assert_unavailable(grpc.StatusCode.FAILED_PRECONDITION)
        assert await service.is_healthy()
        assert isnan(service.metric("serving", bot=BOT))

        (tmp_path / "models").symlink_to(toy.models_dir)
        await until(lambda: service.serves(toy.manifest.id))
        assert await service.answers()


async def test_an_engine_killed_in_the_middle_of_answers_serves_again(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir) as service:
        with service.frozen_engine():
            asks = [service.ask() for _ in range(16)]  # half of them wait for slots
            await until(lambda: service.has_arrived(16))
            os.kill(service.engine, signal.SIGKILL)
        ended = await asyncio.gather(*asks, return_exceptions=True)
        refused = [each for each in ended if isinstance(each, RetryLater)]
        assert len(refused) == len(asks)
        assert all(each.code is grpc.StatusCode.UNAVAILABLE for each in refused)
        assert all(each.retry_after > 0 for each in refused)

        await until(service.answers)
        assert service.metric("engine_restarts_total") == 1


async def test_a_stop_lets_requests_under_way_end(toy: Toy) -> None:
    async with running(toy.bots_dir, toy.models_dir) as service:
        with service.frozen_engine():
            asks = [service.ask() for _ in range(16)]  # half of them wait for slots
            await until(lambda: service.has_arrived(16))
            service.stop.set()
        assert [len((await ask).candidates) for ask in asks] == [4] * 16
        await service.ended
        with pytest.raises(GenerationError):
            await service.ask(timeout=0.5)


async def test_a_stop_while_the_engine_hangs_ends_the_service(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "END_SECONDS", 0.1)
    async with running(toy.bots_dir, toy.models_dir, drain_seconds=0.1) as service:
        os.kill(service.engine, signal.SIGSTOP)
        prompt = [turn("Привет " * 500)]
        asks = [asyncio.create_task(service.client.generate(BOT, prompt)) for _ in range(60)]
        await until(lambda: service.metric("running") > 0)
        service.stop.set()
        await asyncio.wait_for(service.ended, PATIENCE)
        ended = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(each, GenerationError) for each in ended)
    assert service.engine not in engine_pids()
