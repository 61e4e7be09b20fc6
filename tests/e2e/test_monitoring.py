"""A real Prometheus, fed by running services and jobs: no panel is empty, every alert can be asked.

The services are the real ones with the shipped configuration; of what cannot be had here, a node's
metrics, series were recorded.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from typer.testing import CliRunner

from services.gateway import backup
from services.gateway.config import GatewayConfig
from services.gateway.server import Outside, serve, telegram
from services.gateway.settings import GatewaySettings
from tests.conftest import BOT, Toy
from tests.k8s.monitoring import RULES, Prometheus, prometheus, pushgateway, queries
from tests.services.gateway.conftest import settings_for
from tests.services.gateway.telegram import FakeTelegram, fake_telegram, group, of, private
from tests.services.generation.conftest import Service
from tests.services.generation.conftest import running as generation
from tests.training_jobs.test_skip import APPS, SETTINGS
from training_jobs import watch

NODE = """\
node_memory_MemAvailable_bytes 1.2e9
node_cpu_seconds_total{cpu="0",mode="idle"} 100
kube_pod_container_status_restarts_total{namespace="persona-bots",pod="generation-1"} 0
"""


def learn(folder: Path, toy: Toy, pushed_to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All jobs twice, so that there is a version before; and one that fails."""
    exports = folder / "data" / BOT / "exports"
    exports.mkdir(parents=True)
    os.link(toy.export, exports / "result.json")
    environment = {
        "DATA_DIR": str(folder / "data"),
        "MODELS_DIR": str(folder / "models"),
        "PUSHGATEWAY_URL": pushed_to,
    }
    bots = folder / "bots"
    bots.mkdir()
    (bots / f"{BOT}.yaml").write_text(SETTINGS, encoding="utf-8")
    runner = CliRunner(env=environment)
    monkeypatch.setattr(watch, "LINE_SECONDS", 0.0)  # two steps last no minute
    for app, more in [*((each, []) for each in APPS), (APPS[-1], ["--force"])]:
        done = runner.invoke(app, ["--bot", str(bots / f"{BOT}.yaml"), *more])
        assert done.exit_code == 0, done.stderr
    (bots / "polkson.yaml").write_text("name: polkson\n", encoding="utf-8")
    assert runner.invoke(APPS[0], ["--bot", str(bots / "polkson.yaml")]).exit_code == 2


def backed_up(folder: Path, settings: GatewaySettings, pushed_to: str) -> None:
    environment = {
        "BOT": BOT,
        "GATEWAY_DATA_DIR": str(settings.gateway_data_dir),
        "PUSHGATEWAY_URL": pushed_to,
    }
    done = CliRunner(env=environment).invoke(backup.app, ["save", str(folder / "backups")])
    assert done.exit_code == 0, done.stderr


async def talk(there: FakeTelegram, registry: CollectorRegistry, served: Service) -> None:
    """What people do, and what goes wrong: slowed down, muted, moderated."""

    async def until(name: str, **labels: str) -> None:
        async with asyncio.timeout(20):
            while not registry.get_sample_value(  # noqa: ASYNC110 (set by another part)
                f"persona_gateway_{name}_total", labels
            ):
                await asyncio.sleep(0.02)

    there.administrators = {7}
    there.put(*(private("привет", chat) for chat in range(10, 20)))  # to some it says nothing
    await until("messages_sent")
    there.fault = of("sendMessage", 429, "Too Many Requests", retry_after=1)
    there.put(private("/help"))
    await until("rate_limited")
    there.fault = None
    there.put(group("/insanity"), group("/mute 1h"), group("автобус!"), group("о чём вы?"))
    await until("decisions", reason="muted")
    # what a model would say is nothing to rely on
    collectors = served.registry._names_to_collectors
    collectors["persona_generation_moderation"].labels(BOT, "blocked").inc(0)  # type: ignore[attr-defined]


async def serve_text(stack: AsyncExitStack, text: str) -> str:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture(scope="module")
async def monitored(
    toy: Toy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """Prometheus, once it has seen everything twice."""
    folder = tmp_path_factory.mktemp("monitored")
    async with AsyncExitStack() as stack:
        pushed_to = await stack.enter_async_context(pushgateway())
        with pytest.MonkeyPatch.context() as monkeypatch:
            learn(folder, toy, pushed_to, monkeypatch)
        there = await stack.enter_async_context(fake_telegram())
        served = await stack.enter_async_context(generation(folder / "bots", folder / "models"))
        settings = settings_for(there.url, served.address, folder / "gateway")
        bot = await stack.enter_async_context(telegram(settings))
        registry, stop = CollectorRegistry(), asyncio.Event()
        for each in (registry, served.registry):
            ProcessCollector(registry=each)
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        config = GatewayConfig(names=("автобус",))
        gateway = asyncio.create_task(
            serve(settings, config, stop, Outside(bot, registry=registry), started)
        )
        port = await started
        backed_up(folder, settings, pushed_to)
        targets = {
            "gateways": [f"127.0.0.1:{port}"],
            "generation": [f"127.0.0.1:{served.ports.metrics}"],
            "pushgateway": [pushed_to.removeprefix("http://")],
            "box": [await serve_text(stack, NODE)],
        }
        there_is = await stack.enter_async_context(prometheus(folder, targets))
        await there_is.until('up{job="gateways"} == 1')
        await talk(there, registry, served)
        await there_is.until(
            'count_over_time(persona_gateway_decisions_total{reason="muted"}[1m]) > 1',
            'count_over_time(persona_generation_moderation_total{action="blocked"}[1m]) > 1',
            "persona_publishing_previous_bits_per_character",
        )
        yield there_is
        stop.set()
        await gateway


async def test_no_panel_is_empty(monitored: Prometheus) -> None:
    empty: dict[tuple[str, str], list[str]] = {}
    filled = set[tuple[str, str]]()
    for query in queries():
        place = (query.dashboard, query.panel)
        if await monitored.query(query.expression):
            filled.add(place)
        else:
            empty.setdefault(place, []).append(query.expression)
    assert {place: found for place, found in empty.items() if place not in filled} == {}


async def test_every_label_in_a_legend_exists(monitored: Prometheus) -> None:
    for query in queries():
        labels = set(re.findall(r"{{(\w+)}}", query.legend))
        for series in await monitored.query(query.expression):
            missing = labels - series["metric"].keys() - {"bot"}
            assert not missing, query


async def test_every_alert_can_be_asked_and_those_that_should_are_firing(
    monitored: Prometheus,
) -> None:
    for rule in RULES:
        await monitored.query(rule["expr"])
    await monitored.until('ALERTS{alertname="JobFailed", bot="polkson", alertstate="firing"}')
    firing = await monitored.query("ALERTS")
    assert {each["metric"]["alertname"] for each in firing} <= {"JobFailed", "VolumeFull"}
    rules = (await monitored.get("rules"))["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
