"""A real Prometheus, fed by running services and jobs: no panel is empty, every alert finds its
metrics, and nothing fires but what went wrong.

The services are the real ones with the shipped configuration; of what cannot be had here, a node's
metrics, series were recorded.
"""

import asyncio
import os
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from math import isfinite
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from typer.testing import CliRunner

from contracts.conversation import Conversation
from services.gateway import backup
from services.gateway.bot_api import open_bot_api
from services.gateway.bot_config import GatewayConfig
from services.gateway.lifecycle import serve
from services.gateway.settings import GatewaySettings
from services.generation.client import GenerationError, turn
from services.sandbox.server import listening
from telemetry.job import JobReport
from tests.conftest import BOT, PATIENCE, Toy, free_address
from tests.debian_package import need
from tests.k8s.conftest import ROOT
from tests.k8s.dashboards import ALERTS, Prometheus, boards, panels
from tests.k8s.live import configure, shipped, wait
from tests.services.gateway.conftest import settings_for
from tests.services.gateway.telegram import FakeTelegram, fake_telegram, group, of, private
from tests.services.generation.conftest import Service
from tests.services.generation.conftest import running as generation
from tests.training_jobs.test_skip import APPS, SETTINGS
from training_jobs import progress

NODE = ROOT / "tests/k8s/box.prom"
SELECTOR = re.compile(r"(?:\b(?:persona_|push_)\w+|(?={__name__))(?:{[^}]*})?")


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
    (bots / f"{BOT}.yaml").write_text(SETTINGS.replace("BASE", str(toy.base)), encoding="utf-8")
    runner = CliRunner(env=environment)
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)  # two steps last no minute
    monkeypatch.setattr("training_jobs.evaluation.relevance.FEWEST", 1)  # the toy has few answers
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
        async with asyncio.timeout(PATIENCE):
            while not registry.get_sample_value(  # noqa: ASYNC110 (set by another part)
                f"persona_gateway_{name}_total", labels
            ):
                await asyncio.sleep(0.02)

    there.administrators.add(7)
    there.put(*(private("привет", chat) for chat in range(10, 20)))  # to some it says nothing
    await until("messages_sent")
    there.fault = of("sendMessage", 429, "Too Many Requests", retry_after=1)
    there.put(private("/help"))
    await until("rate_limited")
    there.fault = None
    there.put(group("/insanity"), group("/mute 1h"), group("автобус!"), group("о чём вы?"))
    await until("decisions", reason="muted")
    with suppress(GenerationError):  # more than wait for a place
        await asyncio.gather(*(served.client.generate(BOT, [turn("эй")]) for _ in range(9)))
    # what a model would say is nothing to rely on
    collectors = served.registry._names_to_collectors
    collectors["persona_generation_moderation"].labels(BOT, "blocked", "profanity").inc(0)  # type: ignore[attr-defined]


async def serve_text(stack: AsyncExitStack, text: str) -> str:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/metrics", answer)
    url = await stack.enter_async_context(listening(app, "127.0.0.1", 0))
    return url.removeprefix("http://")


@pytest.fixture(autouse=True, scope="module")
def tools() -> Iterator[pytest.MonkeyPatch]:
    """Debian's servers, which are asked without a proxy."""
    need("prometheus")
    need("prometheus-pushgateway")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("no_proxy", "*")
        yield monkeypatch


@pytest.fixture(scope="module")
async def monitored(
    tools: pytest.MonkeyPatch, toy: Toy, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """Prometheus, once it has seen everything twice."""
    folder = tmp_path_factory.mktemp("monitored")
    own, pushed = free_address(), free_address()
    async with AsyncExitStack() as stack:
        stack.enter_context(shipped("pushgateway", "prometheus-pushgateway", pushed, folder))
        await until(lambda: read(f"http://{pushed}/-/ready"), "no Pushgateway", folder)
        learn(folder, toy, f"http://{pushed}", tools)
        there = await stack.enter_async_context(fake_telegram())
        refused = folder / "models/polkson/versions/20260101-000000-00000000"
        refused.mkdir(parents=True)
        (refused.parents[1] / "current").symlink_to(f"versions/{refused.name}")
        served = await stack.enter_async_context(
            generation(folder / "bots", folder / "models", max_requests=2)
        )
        settings = settings_for(
            there.url, served.address, folder / "gateway", forget_dir=folder / "data"
        )
        api = await stack.enter_async_context(open_bot_api(settings))
        registry, stop = CollectorRegistry(), asyncio.Event()
        for each in (registry, served.registry):
            ProcessCollector(registry=each)
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        config = GatewayConfig(names=("автобус",))
        gateway = asyncio.create_task(
            serve(settings, config, Conversation(), api, stop, started, registry=registry)
        )
        port = await started
        backed_up(folder, settings, f"http://{pushed}")
        targets = {
            "gateways": [f"127.0.0.1:{port}"],
            "generation": [f"127.0.0.1:{served.ports.metrics}"],
            "pushgateway": [pushed],
            "prometheus": [own],
            "node": [await serve_text(stack, NODE.read_text())],
        }
        configure(folder, targets)
        stack.enter_context(shipped("prometheus", "prometheus", own, folder))
        prometheus = Prometheus(f"http://{own}")
        await until(lambda: prometheus.now('up{job="gateways"} == 1'), "not scraped", folder)
        await talk(there, registry, served)
        for expression in (
            'count_over_time(persona_gateway_decisions_total{reason="muted"}[1m]) > 1',
            'count_over_time(persona_generation_moderation_total{action="blocked"}[1m]) > 1',
            "persona_evaluation_bits_per_character",
            "count_over_time(persona_generation_refused_version_info[1m]) > 1",
            "count_over_time(persona_generation_rejected_total[1m]) > 1",
            'ALERTS{alertname="JobFailed", bot="polkson", alertstate="firing"}',
        ):
            await until(partial(prometheus.now, expression), expression, folder)
        yield replace(prometheus, at=time.time())
        stop.set()
        await gateway


async def until(holds: Callable[[], object], what: str, folder: Path) -> None:
    """Wait in a thread: what is waited for may be served by this one."""
    await asyncio.to_thread(wait, holds, what, folder)


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return str(answer.read().decode())


async def test_no_panel_stays_empty_or_has_two_lines_of_one_name(monitored: Prometheus) -> None:
    wrong = []
    for panel in panels():
        for query in panel.queries:
            found = await asyncio.to_thread(monitored.now, query.filled())
            names = [query.name(series.labels) for series in found]
            if not any(isfinite(series.value) for series in found) or len({"", *names}) <= len(
                names
            ):
                wrong.append((panel.board, panel.title, query.expr, names))
    assert not wrong, "\n".join(map(str, wrong))


async def test_a_dashboard_finds_the_list_of_bots(monitored: Prometheus) -> None:
    for board in boards().values():
        [query] = [one["query"] for one in board["templating"]["list"] if one["name"] == "bot"]
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
        assert found
        path = f"label/{found[2]}/values"
        assert BOT in await asyncio.to_thread(monitored.get, path, **{"match[]": found[1]})


async def test_an_alert_finds_its_metrics(monitored: Prometheus) -> None:
    missing = []
    for alert in ALERTS:
        selectors = set(SELECTOR.findall(alert["expr"]))
        assert selectors, alert["alert"]
        for selector in selectors:
            if not await asyncio.to_thread(monitored.now, selector):
                missing.append((alert["alert"], selector))
    assert missing == []


async def test_nothing_fires_but_what_went_wrong(monitored: Prometheus) -> None:
    """After a minute also that polkson's version is refused, and that no gateway polls for it."""
    firing = await asyncio.to_thread(monitored.now, 'ALERTS{alertstate="firing"}')
    told = {(each.labels["alertname"], each.labels.get("bot")) for each in firing}
    later = {("VersionRefused", "polkson"), ("BotNotPolling", "polkson")}
    assert told - later == {("JobFailed", "polkson")}


def test_pushed_metrics_survive_a_restart_of_the_pushgateway(tmp_path: Path) -> None:
    address = free_address()
    report = JobReport("training", BOT, f"http://{address}")
    report.gauge("loss", "-", 2.5)
    for number in range(2):
        with shipped("pushgateway", "prometheus-pushgateway", address, tmp_path):
            wait(lambda: read(f"http://{address}/-/ready"), "no Pushgateway", tmp_path)
            if number == 0:
                report.push()
            assert "persona_training_loss{" in read(f"http://{address}/metrics")
        assert (tmp_path / "data/pushed").is_file()  # and not where Debian's would keep it
