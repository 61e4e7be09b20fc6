"""A label on all that a process exposes, which prometheus_client has no way to give."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric


class Labelled(CollectorRegistry):
    """Exposes what another registry holds, each sample with more labels."""

    def __init__(self, registry: CollectorRegistry, **labels: str) -> None:
        super().__init__()
        self._inner = registry
        self._more = labels

    def collect(self) -> Iterator[Metric]:
        for family in self._inner.collect():  # made anew for each scrape
            family.samples = [
                sample._replace(labels={**sample.labels, **self._more}) for sample in family.samples
            ]
            yield family
