"""Metrics for a Prometheus under test: of gateways, generation, jobs and a node."""

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Metric, ProcessCollector
from prometheus_client.exposition import start_wsgi_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.gateway.metrics import Labelled
from services.gateway.metrics import Metrics as GatewayMetrics
from services.gateway.reasons import Reason
from services.generation.engine.protocol import Report
from services.generation.metrics import Metrics as GenerationMetrics
from telemetry.job import PushSettings, job_report
from telemetry.volumes import watch_volumes

ROOT = Path(__file__).parents[2]
BOTS = ("avtobus", "polkson")


class Recorded(Collector):
    """The metrics of a recorded page."""

    def __init__(self, path: Path) -> None:
        self._text = path.read_text(encoding="utf-8")

    def collect(self) -> Iterable[Metric]:
        return text_string_to_metric_families(self._text)


class Exposed:
    """The metrics of two gateways, generation and a node; `go_on` adds some traffic to them."""

    def __init__(self) -> None:
        self.registries = [CollectorRegistry() for _ in (*BOTS, "generation", "node")]
        *gateways, generation, node = self.registries
        self.gateways = [GatewayMetrics(registry) for registry in gateways]
        self.generation = GenerationMetrics(generation)
        watch_volumes("generation", {"models": ROOT}, generation)
        for gateway, registry in zip(self.gateways, gateways, strict=True):
            watch_volumes("gateway", {"database": ROOT, "data": ROOT}, registry)
            gateway.intact.set(1)
            gateway.insane.set(2)
        ProcessCollector(registry=generation)
        node.register(Recorded(Path(__file__).with_name("box.prom")))
        for bot in BOTS:
            self.generation.serving.labels(bot).set(1)
            self.generation.version.labels(bot, "20261126-a1").set(1)
        self.generation.refused_version.labels("polkson", "20261127-b2").set(1)
        self.go_on()

    def go_on(self) -> None:
        for bot, gateway in zip(BOTS, self.gateways, strict=True):
            self._talk(gateway)
            self._generate(bot)

    def _talk(self, gateway: GatewayMetrics) -> None:
        gateway.last_poll.set_to_current_time()
        gateway.outbox.set(1)
        gateway.reply.observe(1)
        for reason in (Reason.PRIVATE, Reason.NAME, Reason.NOT_ADDRESSED, Reason.QUIET_HOURS):
            gateway.decided.labels(reason.value).inc()
        _count(gateway.polls.labels("ok"), gateway.taken, gateway.sent)
        _count(gateway.replies.labels("candidate"))
        rare = (gateway.replies.labels("unavailable"), gateway.failed.labels("403"))
        _count(*rare, gateway.limited, gateway.doubled, gateway.failed_updates, amount=0.01)

    def _generate(self, bot: str) -> None:
        metrics = self.generation
        _count(metrics.requests.labels(bot, "OK"), metrics.moderated.labels(bot, "none"))
        _count(metrics.generated_tokens.labels(bot), metrics.cached_tokens.labels(bot), amount=50)
        _count(metrics.requests.labels(bot, "RESOURCE_EXHAUSTED"), amount=0.01)
        _count(metrics.rejected.labels("queue_full"), amount=0.01)
        _count(*(metrics.moderated.labels(bot, one) for one in ("masked", "blocked")), amount=0.01)
        metrics.prompt_tokens.observe(128)
        for seconds in (metrics.queue, metrics.first_token, metrics.token, metrics.duration):
            seconds.observe(0.1)
        for gauge in (metrics.waiting, metrics.running):
            gauge.set(1)
        metrics.stepped(Report([], (bot, "20261126-a1"), [2, 4], cache_usage=0.3))


def _count(*counters: Counter, amount: float = 1) -> None:
    for counter in counters:
        counter.inc(amount)


@contextmanager
def served(exposed: Exposed) -> Iterator[list[str]]:
    """Serve each registry, and yield the addresses in their order."""
    with ExitStack() as stack:
        addresses = []
        for number, registry in enumerate(exposed.registries):
            shown = Labelled(registry, bot=BOTS[number]) if number < len(BOTS) else registry
            server, _ = start_wsgi_server(0, "127.0.0.1", shown)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            addresses.append(f"127.0.0.1:{server.server_port}")
        yield addresses


def push_jobs(url: str) -> None:
    """Push every figure in docs/metrics.md for each job; one job fails."""
    settings = PushSettings(pushgateway_url=url)
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for bot in BOTS:
        for job in ("extraction", "training", "conversion", "evaluation", "publishing", "backup"):
            names = re.findall(rf"^\| `persona_{job}_(\w+)`", text, re.MULTILINE)
            with suppress(ValueError), job_report(job, bot, settings) as report:
                for name in names:
                    report.gauge(name, "-", 0.5 if name.startswith("previous") else 0.6)
                if (bot, job) == ("polkson", "publishing"):
                    raise ValueError
