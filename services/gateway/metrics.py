"""The gateway's metrics: no label and no value tells of a chat or a person."""

from collections.abc import Iterator, Sequence
from copy import copy

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
_REPLY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Labelled(Collector):
    """What another collector tells, with labels that all of it bears."""

    def __init__(self, inner: Collector, **labels: str) -> None:
        self._inner = inner
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for metric in self._inner.collect():
            shown = copy(metric)  # some collectors keep theirs
            shown.samples = [
                sample._replace(labels={**sample.labels, **self._labels})
                for sample in metric.samples
            ]
            yield shown


class Metrics:
    """One set a process; labels are reasons, outcomes and codes, all from closed lists."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.polls = self._counter("polls", "Calls of getUpdates by outcome.", "outcome")
        self.last_poll = self._gauge(
            "last_successful_poll_timestamp_seconds", "When Telegram last answered a poll."
        )
        self.reads_all = self._gauge(
            "reads_all_group_messages", "1 when privacy mode is off, as insanity needs it."
        )
        self.taken = self._counter("updates_taken", "Updates put into the store.")
        self.decided = self._counter("decisions", "Messages by why answered or not.", "reason")
        self.failed_updates = self._counter("updates_failed", "Updates given up after errors.")
        self.replies = self._counter("replies", "Generated replies by what was used.", "outcome")
        self.retries = self._counter("generation_retries", "Calls to repeat, by status.", "code")
        self.sent = self._counter("messages_sent", "Messages that Telegram took.")
        self.failed = self._counter("messages_failed", "Messages not sent, by why.", "code")
        self.put_out = self._counter("put_out", "Times the bot was blocked or put out of a group.")
        self.limited = self._counter("rate_limited", "Answers 429 to a message.")
        self.doubled = self._counter(
            "messages_maybe_doubled", "Messages sent again that may have arrived before."
        )
        self.outbox = self._gauge("outbox_size", "Messages planned and not sent.")
        self.answer = self._histogram(
            "answer_duration_seconds", "Asking until something can be said.", _SECONDS
        )
        self.reply = self._histogram(
            "reply_duration_seconds", "Taking an update until its answer begins.", _REPLY_SECONDS
        )
        self.insane = self._gauge("insane_chats", "Chats and topics with insanity on.")
        self.intact = self._gauge("database_intact", "1 when the last check found no damage.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"persona_gateway_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"persona_gateway_{name}", text, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"persona_gateway_{name}", text, buckets=buckets, registry=self._registry)
