"""Bots whose files break, go, and change what they say, while requests go on."""

import threading

import grpc
import pytest
from structlog.testing import capture_logs

from moderation.moderator import Moderator
from moderation.policy import Policy
from protos.generation.v1 import generation_pb2 as pb
from services.generation import model_store
from services.generation.client import turn
from services.generation.model_store import Version
from tests.conftest import BOT, Toy
from tests.services.generation.conftest import Volumes, running, until


async def test_a_bots_file_that_breaks_takes_it_out_and_says_why(volumes: Volumes) -> None:
    file = volumes.bots / f"{BOT}.yaml"
    many = list(range(1000))  # mistakes, which all together are too long for a status
    (volumes.bots / "polkson.yaml").write_text("name: polkson\n")
    async with volumes.serve() as service:

        async def is_out() -> bool:
            return not await service.is_healthy(BOT)

        await until(lambda: service.is_healthy(BOT))
        assert not await service.is_healthy("polkson")  # nothing is published

        file.write_text(f"name: {BOT}\nmoderation: {{allow: {many}}}\n")
        await service.until_problem("moderation.allow.999")
        await service.assert_unavailable(grpc.StatusCode.FAILED_PRECONDITION)
        file.write_text("name: other\n")
        await service.until_problem("differ")
        await until(is_out)


async def test_a_bot_that_goes_away_answers_what_it_was_asked(volumes: Volumes) -> None:
    async with volumes.serve() as service:

        async def is_gone() -> bool:
            return not await service.client.list_models()

        with service.frozen_engine():
            ask = service.ask()
            await until(lambda: service.has_arrived(1))
            (volumes.bots / f"{BOT}.yaml").unlink()
            await until(is_gone)
            await service.assert_unavailable(grpc.StatusCode.NOT_FOUND)
        assert (await ask).candidates
        version = {"bot": BOT, "version": volumes.version}
        await until(lambda: not service.metric("version_info", **version))


async def test_the_policy_of_the_bots_file_decides_what_is_sent_of_an_obscene_reply(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Version, "decode", lambda self, ids: "ну пиздец\nприехали мы с вами, да?")
    file = volumes.bots / f"{BOT}.yaml"
    said = {
        "family": (["Лучше промолчу."], "REPLACED", "profanity", ""),
        "friends": (["ну ******", "приехали мы с вами, да?"], "MASKED", "profanity", None),
        "off": (["ну пиздец", "приехали мы с вами, да?"], "NONE", "", None),
    }
    async with volumes.serve() as service:
        for preset, (messages, action, category, text) in said.items():
            file.write_text(f"name: {BOT}\nmoderation: {{preset: {preset}}}\n")

            async def is_policy(wanted: list[str] = messages) -> bool:
                return list((await service.ask(candidates=1)).candidates[0].messages) == wanted

            await until(is_policy)
            with capture_logs() as logged:
                events = [each async for each in service.client.stream(BOT, [turn("Привет")])]
            [only] = events[-1].response.candidates
            assert only.moderation.category == category
            assert pb.ModerationAction.Name(only.moderation.action).endswith(f"_{action}")
            assert list(only.messages) == messages
            streamed = "".join(each.delta for each in events)
            assert streamed == ("\n".join(messages) if text is None else text)
            counted = {"bot": BOT, "action": action.lower(), "category": category}
            assert service.metric("moderation_total", **counted)
            stopped = [each for each in logged if each["event"] == "moderated"]
            assert [each["category"] for each in stopped] == [category] * bool(category)
            assert "приехали" not in str(logged)


async def test_a_bots_word_list_is_built_off_the_event_loop(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders = set[threading.Thread]()

    class Recorded(Moderator):
        def __init__(self, policy: Policy) -> None:
            builders.add(threading.current_thread())
            super().__init__(policy)

    monkeypatch.setattr(model_store, "Moderator", Recorded)
    async with running(toy.bots_dir, toy.models_dir):
        assert builders
        assert threading.main_thread() not in builders
