"""The service's metrics; named after text-generation-inference's where they mean the same."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One set a process; labels are bounded: known bots, status codes, reasons."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.requests = self._counter("requests", "Requests by bot and status.", "bot", "code")
        self.running = self._gauge("queue_size", "Requests under way.")
        self.batch = self._histogram("batch_size", "Requests in an engine step.", _REQUESTS)
        self.queue = self._histogram(
            "queue_duration_seconds", "Acceptance to first step.", _SECONDS
        )
        self.first_token = self._histogram(
            "first_token_duration_seconds", "Acceptance to first token.", _SECONDS
        )
        self.duration = self._histogram(
            "request_duration_seconds", "Acceptance to last token.", _SECONDS
        )
        self.prompt_tokens = self._histogram("input_length_tokens", "Tokens of a prompt.", _TOKENS)
        self.generated_tokens = self._counter("generated_tokens", "Tokens generated.", "bot")
        self.finished = self._counter("finish_reason", "Candidates ended.", "bot", "reason")
        self.moderated = self._counter("moderation", "Candidates moderated.", "bot", "action")
        self.serving = self._gauge("serving", "1 while a version of the bot answers.", "bot")
        self.refused_versions = self._counter("versions_refused", "Versions refused.", "bot")
        self.restarts = self._counter("engine_restarts", "Times the engine's process died.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"persona_generation_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"persona_generation_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(
            f"persona_generation_{name}", text, buckets=buckets, registry=self._registry
        )
