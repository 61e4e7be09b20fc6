"""Metrics for a Prometheus under test: of gateways and generation in use, of jobs, of a node."""

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import start_wsgi_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from services.gateway.decision import Reason
from services.gateway.metrics import Labelled
from services.gateway.metrics import Metrics as GatewayMetrics
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
        self.random = Random(1)
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

    def go_on(self, busy: float = 1.0) -> None:
        for number, bot in enumerate(BOTS):
            share = busy / (number + 1)
            self._talk(self.gateways[number], share)
            self._generate(bot, share)

    def _talk(self, gateway: GatewayMetrics, busy: float) -> None:
        gateway.polls.labels("ok").inc()
        gateway.last_poll.set_to_current_time()
        gateway.taken.inc(4 * busy)
        for reason in (Reason.PRIVATE, Reason.NAME, Reason.NOT_ADDRESSED, Reason.QUIET_HOURS):
            gateway.decided.labels(reason.value).inc(self.random.random() * busy)
        gateway.replies.labels("candidate").inc(2 * busy)
        gateway.replies.labels("unavailable").inc(0.1)
        gateway.sent.inc(2 * busy)
        gateway.outbox.set(int(self.random.random() * 4 * busy))
        gateway.reply.observe(self.random.lognormvariate(1, 0.7) * busy)
        for counter in (gateway.limited, gateway.doubled, gateway.failed_updates):
            counter.inc(0.01)
        gateway.failed.labels("403").inc(0.02)

    def _generate(self, bot: str, busy: float) -> None:
        metrics, draw = self.generation, self.random.lognormvariate
        metrics.requests.labels(bot, "OK").inc(2 * busy)
        metrics.requests.labels(bot, "RESOURCE_EXHAUSTED").inc(0.1 * busy)
        metrics.rejected.labels("queue_full").inc(0.1 * busy)
        metrics.generated_tokens.labels(bot).inc(60 * busy)
        metrics.prompt_tokens.observe(128)
        metrics.cached_tokens.labels(bot).inc(50)
        for action, share in (("none", 1.9), ("masked", 0.06), ("blocked", 0.04)):
            metrics.moderated.labels(bot, action).inc(share * busy)
        metrics.waiting.set(int(self.random.random() * 5 * busy))
        metrics.running.set(int(1 + 3 * busy))
        metrics.queue.observe(draw(-4, 1) * busy)
        metrics.first_token.observe(draw(-1.5, 0.5) * busy)
        metrics.token.observe(draw(-4.5, 0.3) * busy)
        metrics.duration.observe(draw(0.3, 0.4) * busy)
        batches = [2, int(1 + 4 * busy)]
        metrics.stepped(Report([], (bot, "20261126-a1"), batches, cache_usage=0.3 * busy))


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
            fails = (bot, job) == ("polkson", "publishing")
            with suppress(ValueError), job_report(job, bot, settings) as report:
                for name in names:
                    report.gauge(name, "-", 0.5 if name.startswith("previous") else 0.6)
                if fails:
                    raise ValueError
