"""The service's metrics, with text-generation-inference's names where they mean the same."""

from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from protos.generation.v1 import generation_pb2 as pb
from services.generation.engine.protocol import Report
from services.generation.response import ResponseBuilder

_NAMESPACE = "persona_generation"
_PACKAGES = ("openvino-genai", "openvino", "grpcio", "tokenizers")
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
_TOKENS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
_TOKEN_SECONDS = (0.002, 0.004, 0.006, 0.008, 0.012, 0.016, 0.024, 0.032, 0.064, 0.128)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One set for each process. Labels have few values: known bots, status codes, reasons.

    requests                              those of bots that do not exist have an empty `bot`
    rejected                              queue_full or would_be_late
    cache_usage_ratio                     in the newest step
    mean_time_per_token_duration_seconds  the first one excluded; the longest candidate's
    cached_tokens                         estimated; divided by the sum of input_length_tokens it is
                                          the cached share
    finish_reason                         stop or length
    moderation                            none, masked, blocked or replaced, and why: profanity,
                                          insult, private or link
    serving                               NaN while nothing is published
    volume_used_ratio                     the volume is models; NaN without its folder
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, namespace=_NAMESPACE, registry=registry)
        gauge = partial(Gauge, namespace=_NAMESPACE, registry=registry)
        histogram = partial(Histogram, namespace=_NAMESPACE, registry=registry)
        seconds = partial(histogram, buckets=_SECONDS)
        self.requests = counter("requests", "Requests ended, by status.", ["bot", "code"])
        self.rejected = counter("rejected", "Requests refused under load.", ["reason"])
        self.waiting = gauge("queue_size", "Requests that wait for the engine.")
        self.running = gauge("running", "Requests that the engine works on.")
        self.batch = histogram("batch_size", "Requests in an engine step.", buckets=_REQUESTS)
        self.cache_usage = gauge("cache_usage_ratio", "Used share of attention caches.", ["bot"])
        self.queue = seconds("queue_duration_seconds", "Acceptance to first step.")
        self.first_token = seconds("first_token_duration_seconds", "Acceptance to first token.")
        self.duration = seconds("request_duration_seconds", "Acceptance to last token.")
        self.token = histogram(
            "mean_time_per_token_duration_seconds",
            "Mean time of a reply's tokens.",
            buckets=_TOKEN_SECONDS,
        )
        self.prompt_tokens = histogram(
            "input_length_tokens", "Tokens of a prompt.", buckets=_TOKENS
        )
        self.cached_tokens = counter("cached_tokens", "Prompt tokens in the cache.", ["bot"])
        self.generated_tokens = counter("generated_tokens", "Tokens generated.", ["bot"])
        self.finished = counter("finish_reason", "Candidates ended.", ["bot", "reason"])
        labels = ["bot", "action", "category"]
        self.moderated = counter("moderation", "Candidates moderated.", labels)
        self.serving = gauge("serving", "1 if a version of it answers.", ["bot"])
        self.version = gauge("version_info", "1 for loaded versions.", ["bot", "version"])
        self.refused_versions = counter("versions_refused", "Versions refused.", ["bot"])
        self.refused_version = gauge(
            "refused_version_info", "1 for versions refused now.", ["bot", "version"]
        )
        self.restarts = counter("engine_restarts", "Times the engine's process died.")
        build = Info("build", "Versions of libraries.", namespace=_NAMESPACE, registry=registry)
        build.info({name.replace("-", "_"): version(name) for name in _PACKAGES})

    def stepped(self, report: Report) -> None:
        """Count the engine's steps since its last report."""
        for batch in report.batches:
            self.batch.observe(batch)
        self.cache_usage.labels(report.key[0]).set(report.cache_usage)

    def engine_died(self) -> None:
        self.restarts.inc()
        self.cache_usage.clear()  # its caches died with it

    def answered(self, builder: ResponseBuilder, response: pb.GenerateResponse) -> None:
        """Count a response and what it took."""
        bot = builder.bot.name
        self.queue.observe(response.timings.queue)
        self.first_token.observe(response.timings.first_token)
        self.duration.observe(response.timings.total)
        if (seconds := builder.seconds_per_token()) is not None:
            self.token.observe(seconds)
        self.prompt_tokens.observe(response.prompt_tokens)
        self.cached_tokens.labels(bot).inc(builder.last.cached)
        for each in response.candidates:
            reason = pb.FinishReason.Name(each.finish_reason).removeprefix("FINISH_REASON_")
            action = pb.ModerationAction.Name(each.moderation.action)
            action = action.removeprefix("MODERATION_ACTION_")
            self.generated_tokens.labels(bot).inc(each.tokens)
            self.finished.labels(bot, reason.lower()).inc()
            self.moderated.labels(bot, action.lower(), each.moderation.category).inc()

    def forget(self, bot: str) -> None:
        """Drop the gauges of a bot that is gone; what was counted stays."""
        for gauge in (self.serving, self.cache_usage):
            gauge.remove(bot)
