"""The service's metrics; named after text-generation-inference's where they mean the same."""

from collections.abc import Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from services.generation.engine import Stepped

_PREFIX = "persona_generation"
_PACKAGES = ("openvino-genai", "openvino", "grpcio", "tokenizers")
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_TOKEN_SECONDS = (0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.064, 0.128)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One set a process; labels are bounded: known bots, status codes, reasons."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.requests = self._counter("requests", "Requests by bot and status.", "bot", "code")
        self.rejected = self._counter("rejected", "Requests refused under load.", "reason")
        self.waiting = self._gauge("queue_size", "Requests that wait for the engine.")
        self.running = self._gauge("running", "Requests that the engine works on.")
        self.batch = self._histogram("batch_size", "Requests in an engine step.", _REQUESTS)
        self.cache_usage = self._gauge("cache_usage_ratio", "Used part of the caches.", "bot")
        self.queue = self._histogram(
            "queue_duration_seconds", "Acceptance to first step.", _SECONDS
        )
        self.first_token = self._histogram(
            "first_token_duration_seconds", "Acceptance to first token.", _SECONDS
        )
        self.duration = self._histogram(
            "request_duration_seconds", "Acceptance to last token.", _SECONDS
        )
        self.token = self._histogram(
            "mean_time_per_token_duration_seconds", "A reply's mean time a token.", _TOKEN_SECONDS
        )
        self.prompt_tokens = self._histogram("input_length_tokens", "Tokens of a prompt.", _TOKENS)
        self.cached_tokens = self._counter("cached_tokens", "Tokens of prompts in a cache.", "bot")
        self.generated_tokens = self._counter("generated_tokens", "Tokens generated.", "bot")
        self.finished = self._counter("finish_reason", "Candidates ended.", "bot", "reason")
        self.moderated = self._counter("moderation", "Candidates moderated.", "bot", "action")
        self.serving = self._gauge("serving", "1 while a version of the bot answers.", "bot")
        self.version = self._gauge("version_info", "1 for versions loaded.", "bot", "version")
        self.refused_versions = self._counter("versions_refused", "Versions refused.", "bot")
        self.refused_version = self._gauge(
            "refused_version_info", "1 for versions refused now.", "bot", "version"
        )
        self.restarts = self._counter("engine_restarts", "Times the engine's process died.")
        build = Info(f"{_PREFIX}_build", "Versions of what serves.", registry=registry)
        build.info({name.replace("-", "_"): version(name) for name in _PACKAGES})

    def stepped(self, report: Stepped) -> None:
        """Take what the engine tells of its steps."""
        for batch in report.batches:
            self.batch.observe(batch)
        if report.batches:
            self.cache_usage.labels(report.model.partition("/")[0]).set(report.cache_usage)

    def engine_died(self) -> None:
        """Its caches went with it."""
        self.restarts.inc()
        self.cache_usage.clear()

    def forget(self, bot: str) -> None:
        """Say nothing more of how things are with a bot; what was counted stays."""
        for gauge in (self.serving, self.cache_usage):
            gauge.remove(bot)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, buckets=buckets, registry=self._registry)
