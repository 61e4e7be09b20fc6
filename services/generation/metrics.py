"""The service's metrics; named after text-generation-inference's where they mean the same."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """One set a process; labels are bounded: bots, status codes, reasons."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        name = "persona_generation_"
        self.requests = Counter(
            f"{name}requests",
            "Requests ended, by bot and gRPC status.",
            ["bot", "code"],
            registry=registry,
        )
        self.running = Gauge(f"{name}queue_size", "Requests under way.", registry=registry)
        self.batch = Histogram(
            f"{name}batch_size",
            "Sequences in an engine step.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.queue = Histogram(
            f"{name}queue_duration_seconds",
            "Acceptance to first step.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_token = Histogram(
            f"{name}first_token_duration_seconds",
            "Acceptance to first token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.duration = Histogram(
            f"{name}request_duration_seconds",
            "Acceptance to last token.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.prompt_tokens = Histogram(
            f"{name}input_length_tokens", "Tokens of a prompt.", buckets=_TOKENS, registry=registry
        )
        self.generated_tokens = Counter(
            f"{name}generated_tokens", "Tokens generated, by bot.", ["bot"], registry=registry
        )
        self.finished = Counter(
            f"{name}finish_reason",
            "Candidates ended, by bot and reason.",
            ["bot", "reason"],
            registry=registry,
        )
        self.moderated = Counter(
            f"{name}moderation",
            "Candidates by bot and moderation action.",
            ["bot", "action"],
            registry=registry,
        )
        self.serving = Gauge(
            f"{name}serving",
            "1 while the bot has a version that answers.",
            ["bot"],
            registry=registry,
        )
        self.refused_versions = Counter(
            f"{name}versions_refused",
            "Versions that could not be served.",
            ["bot"],
            registry=registry,
        )
        self.restarts = Counter(
            f"{name}engine_restarts", "Times the engine's process died.", registry=registry
        )
