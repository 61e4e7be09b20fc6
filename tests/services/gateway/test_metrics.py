"""What the gateway tells of itself."""

import asyncio
import sqlite3
from contextlib import closing

from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.parser import text_string_to_metric_families as parsed

from services.gateway.metrics import Labelled
from tests.services.gateway.conftest import World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import private


async def test_every_metric_of_a_gateway_bears_its_bots_name(world: World) -> None:
    async with (
        world.gateway() as running,
        ClientSession() as http,
        http.get(f"http://127.0.0.1:{running.port}/metrics") as answer,
    ):
        families = list(parsed(await answer.text()))
    samples = [sample for family in families for sample in family.samples]
    assert len(samples) > 20
    assert {sample.labels["bot"] for sample in samples} == {"avtobus"}
    assert any("reason" in sample.labels or "le" in sample.labels for sample in samples)


def test_the_librarys_own_metrics_bear_it_too_and_stay_as_they_were() -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    shown = {
        sample.name: sample.labels
        for family in Labelled(registry, bot="avtobus").collect()
        for sample in family.samples
    }
    assert shown["process_cpu_seconds_total"] == {"bot": "avtobus"}
    assert shown["python_info"]["bot"] == "avtobus"
    assert not any("bot" in sample.labels for each in registry.collect() for sample in each.samples)


async def test_whatever_a_query_asks_for_all_metrics_are_told(world: World) -> None:
    async with world.gateway() as running:
        assert await running.probe("metrics?name[]=up") == 200


async def test_how_long_an_answer_takes_is_told_of_its_first_message(world: World) -> None:
    world.generation.candidates = [candidate("раз", "два")]
    world.generation.hold = asyncio.Event()
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.asks_generation()
        world.clock.advance(7)
        world.generation.hold.set()
        await world.counts("messages_sent_total", 2)
        assert running.metric("reply_duration_seconds_count") == 1
        assert running.metric("reply_duration_seconds_sum") == 7


async def test_commands_and_answers_whose_update_is_gone_are_not_timed(world: World) -> None:
    async with world.gateway() as running:
        await world.ask(private("/help"))
        await world.slow_down(private("эй"), 1)
        with closing(sqlite3.connect(world.settings.database)) as database, database:
            database.execute("DELETE FROM updates")
        await world.counts("messages_sent_total", 2, step=1)
        assert running.metric("reply_duration_seconds_count") == 0


async def test_the_volumes_and_the_check_at_the_start_are_told(world: World) -> None:
    async with world.gateway() as running:
        assert running.metric("database_intact") == 1
        assert 0 < running.metric("volume_used_ratio", volume="database") < 1
        forget = world.settings.forget_dir
        assert forget
        assert not forget.exists()
        untold = running.metric("volume_used_ratio", volume="data")
        assert untold != untold
        forget.mkdir()
        assert 0 < running.metric("volume_used_ratio", volume="data") < 1
