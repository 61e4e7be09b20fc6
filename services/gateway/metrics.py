"""The gateway's metrics: no label and no value tells of a chat or a person."""

from collections.abc import Iterator
from copy import copy
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

_NAMESPACE = "persona_gateway"
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
    """One set for each process. Labels have few values: reasons, outcomes and codes.

    polls                   ok, conflict, network, limited, server, disk or other; the calls that
                            come before the first one count too
    decisions               the reason is one of `services/gateway/reasons.py`
    replies                 candidate, repeat (said again for want of another), replaced (the bot's
                            own line, after moderation), nothing or unavailable; one for each reply
    generation_retries      those that failed, by gRPC status
    messages_failed         the code is Telegram's (400, 403, 404, 413), topic (it was deleted),
                            unknown (given up after ten attempts that may have arrived), stale (an
                            hour too late), denied (by /delete), muted, opted_out, bot_depth, or
                            given_up (silenced, or whom it answered was forgotten)
    rate_limited            Telegram asked the bot to wait
    reply_duration_seconds  of talk alone: what a person waits, pauses and typing included
    insane_chats            counted every minute
    forget_waiting_since_timestamp_seconds
                            0 if there is nobody; looked at every minute
    database_intact         it is checked at the start and once a day
    database_writable       0 from a fault of the disk or the file until something is written again
    volume_used_ratio       the volume is database, or data if FORGET_DIR is set; NaN without its
                            folder
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        counter = partial(Counter, namespace=_NAMESPACE, registry=registry)
        gauge = partial(Gauge, namespace=_NAMESPACE, registry=registry)
        histogram = partial(Histogram, namespace=_NAMESPACE, registry=registry)
        self.polls = counter("polls", "Calls of getUpdates.", ["outcome"])
        self.last_poll = gauge(
            "last_successful_poll_timestamp_seconds", "When Telegram last answered a poll."
        )
        self.reads_all = gauge(
            "reads_all_group_messages", "1 if privacy mode is off, as insanity needs it."
        )
        self.taken = counter("updates_taken", "Updates stored.")
        self.decided = counter("decisions", "Messages by whether answered.", ["reason"])
        self.failed_updates = counter("updates_failed", "Updates given up.")
        self.replies = counter("replies", "Replies by what was said.", ["outcome"])
        self.replies.labels("unavailable")  # from 0 on, so that an alert sees the first one
        self.retries = counter("generation_retries", "Repeated calls of generation.", ["code"])
        self.sent = counter("messages_sent", "Messages sent.")
        self.failed = counter("messages_failed", "Messages not sent.", ["code"])
        self.limited = counter("rate_limited", "Calls answered with 429.")
        self.doubled = counter(
            "messages_maybe_doubled", "Messages sent again that may have arrived before."
        )
        self.outbox = gauge("outbox_size", "Calls planned and not made.")
        self.answer = histogram(
            "answer_duration_seconds", "From asking generation to a reply.", buckets=_SECONDS
        )
        self.reply = histogram(
            "reply_duration_seconds", "From an update to its first message.", buckets=_REPLY_SECONDS
        )
        self.insane = gauge("insane_chats", "Chats and topics that switched insanity on.")
        self.forget_waiting = gauge(
            "forget_waiting_since_timestamp_seconds",
            "When the first of those asked to be forgotten whom the served version still holds.",
        )
        self.intact = gauge("database_intact", "1 if the last check found no damage.")
        self.writable = gauge("database_writable", "1 if the database takes writes.")
