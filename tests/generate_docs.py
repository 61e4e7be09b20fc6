"""`make docs`: writes the tables of docs/settings.md and docs/metrics.md from the code.

A setting or metric is described where it is defined: in the docstring of its class, or of the
function that reports it, as `name  description`; a metric by its help text too. What stands between
`<!-- generated: NAME -->` and `<!-- end -->` is generated, the rest of a page is written by hand.
"""

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from unittest.mock import MagicMock

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from contracts.conversation import Conversation
from contracts.sampling import Sampling
from contracts.settings import Settings, Volumes
from extraction_jobs.build_dataset import report_card
from extraction_jobs.inputs import ExtractionConfig
from moderation.policy import Policy
from services.gateway.backup import report_copy
from services.gateway.bot_config import GatewayConfig
from services.gateway.metrics import Metrics as GatewayMetrics
from services.gateway.settings import GatewaySettings
from services.gateway.texts import Texts
from services.generation.bot_config import GenerationConfig
from services.generation.metrics import Metrics as GenerationMetrics
from services.generation.settings import GenerationSettings
from services.sandbox.demo import DemoSettings
from services.sandbox.settings import SandboxSettings
from telemetry.job import JobReport, PushSettings, job_report
from telemetry.logs import LogSettings
from telemetry.volume_usage import watch_volumes
from training_jobs.bot_config import TrainingConfig
from training_jobs.convert import report_conversion
from training_jobs.evaluate import report_figures
from training_jobs.finetune import report_run
from training_jobs.progress import ProgressLog
from training_jobs.publish import report_version

DOCS = Path(__file__).parents[1] / "docs"
PROCESSES: dict[str, tuple[type[Settings], ...]] = {
    "jobs": (Volumes, LogSettings, PushSettings),
    "generation": (GenerationSettings, LogSettings),
    "gateway": (GatewaySettings, LogSettings),
    "sandbox": (SandboxSettings, LogSettings),
    "demo": (DemoSettings, Volumes, LogSettings),
}
SECTIONS: dict[str, type[BaseModel]] = {
    **{
        "conversation": Conversation,
        "extraction": ExtractionConfig,
        "training": TrainingConfig,
        "sampling": Sampling,
    },
    **{"generation": GenerationConfig, "moderation": Policy},
    **{"gateway": GatewayConfig, "gateway.texts": Texts},
}
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def descriptions(thing: Any) -> dict[str, str]:
    """Return what the docstrings of a function, or of a class and its bases, say of each name."""
    found = {}
    for each in reversed(getattr(thing, "__mro__", (thing,))):
        doc = inspect.cleandoc(each.__doc__ or "")
        for name, text in re.findall(r"^(\w+)  +(\S.*(?:\n  .*)*)", doc, re.MULTILINE):
            found[name] = " ".join(text.split())
    return found


def default(field: FieldInfo) -> str:
    value = field.default.value if isinstance(field.default, Enum) else field.default
    if field.is_required():
        return "required"
    if value is None or value in ((), "", frozenset()):
        return "none"
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{' '.join(text.split())}`"


def allowed(field: FieldInfo) -> str:
    choice = [getattr(each, "value", each) for each in _choice(field.annotation)]
    if choice:
        return ", ".join(f"`{each}`" for each in choice)
    if field.annotation not in (int, float, int | None, float | None):
        return ""
    found = ((key, getattr(each, key, None)) for each in field.metadata for key in BOUNDS)
    return ", ".join(f"{BOUNDS[key]} {value}" for key, value in found if value is not None)


def _choice(annotation: Any) -> Iterable[Any]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table without the columns in which nothing stands."""
    filled = list(rows)
    kept = [index for index in range(len(head)) if any(row[index] for row in filled)]
    lines = [head, ["---"] * len(head), *filled]
    return "".join(f"| {' | '.join(line[index] for index in kept)} |\n" for line in lines)


def environment() -> str:
    fields, texts, readers = dict[str, FieldInfo](), dict[str, str](), dict[str, str]()
    for process, classes in PROCESSES.items():
        for cls in classes:
            texts = {**descriptions(cls), **texts}
            for name, field in cls.model_fields.items():
                fields.setdefault(name, field)
                readers[name] = f"{readers[name]}, {process}" if name in readers else process
    rows = (
        (f"`{name.upper()}`", default(field), allowed(field), readers[name], texts[name])
        for name, field in fields.items()
    )
    return table(("Variable", "Default", "Allowed", "Read by", "Meaning"), rows)


def bot_file() -> str:
    parts = []
    for section, model in SECTIONS.items():
        texts = descriptions(model)
        rows = (
            (f"`{section}.{name}`", default(field), allowed(field), texts[name])
            for name, field in model.model_fields.items()
            if field.annotation is not Texts
        )
        about = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        head = ("Key", "Default", "Allowed", "Meaning")
        parts.append(f"### {section}\n\n{' '.join(about.split())}\n\n{table(head, rows)}")
    return "\n".join(parts)


def metrics(registry: CollectorRegistry) -> Iterator[tuple[str, set[str], str]]:
    """Yield name, labels and help text of each metric, also of those without a sample yet."""
    for collector in registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase)
        [metric] = collector.collect()
        labels = {name for sample in metric.samples for name in sample.labels} - {"le"}
        ending = {"counter": "_total", "info": "_info"}.get(metric.type, "")
        yield metric.name + ending, labels | {*collector._labelnames}, metric.documentation


def metric_rows(
    registry: CollectorRegistry, prefix: str, texts: dict[str, str]
) -> Iterator[tuple[str, ...]]:
    """A help text that several metrics share gives way to their descriptions."""
    found = list(metrics(registry))
    shared = Counter(text for _, _, text in found)
    for name, labels, text in found:
        more = texts.get(name.removeprefix(prefix).removesuffix("_total"), "")
        meaning = more if shared[text] > 1 else "; ".join(filter(None, (text.rstrip("."), more)))
        shown = ", ".join(f"`{label}`" for label in sorted(labels))
        yield f"`{name}`", shown, meaning[:1].upper() + meaning[1:]


def service_metrics(name: str, build: Callable[[CollectorRegistry], Any]) -> str:
    registry = CollectorRegistry()
    texts = descriptions(type(build(registry)))
    watch_volumes(name, {}, registry)
    rows = metric_rows(registry, f"persona_{name}_", texts)
    return table(("Metric", "Labels", "Meaning"), rows)


def job_metrics() -> str:
    texts, rows = dict[str, str](), list[tuple[str, ...]]()
    with suppress(OSError), job_report("<job>", "", PushSettings(pushgateway_url=None)) as failed:
        raise OSError
    with job_report("<job>", "", PushSettings(pushgateway_url=None)) as report:
        pass
    for common in (report, failed):
        rows += metric_rows(common.registry, "", {})
    for function in (report_run, ProgressLog.note, report_figures):
        texts |= descriptions(function)
    training = {**descriptions(ProgressLog.note), **descriptions(report_run)}
    reports: dict[str, Callable[[JobReport], None]] = {
        "extraction": lambda report: report_card(report, MagicMock()),
        "training": lambda report: report.gauges("", dict.fromkeys(training)),
        "conversion": lambda report: report_conversion(report, MagicMock(), MagicMock()),
        "evaluation": lambda report: report_figures(report, None),
        "publishing": lambda report: report_version(report, MagicMock(files={})),
        "backup": lambda report: report_copy(report, 0),
    }
    for job, tell in reports.items():
        report = JobReport(job, "")
        tell(report)
        rows += metric_rows(report.registry, f"persona_{job}_", texts)
    return table(("Metric", "Meaning"), dict.fromkeys((name, text) for name, _, text in rows))


TABLES: dict[str, Callable[[], str]] = {
    "environment": environment,
    "bot.yaml": bot_file,
    "generation": lambda: service_metrics("generation", GenerationMetrics),
    "gateway": lambda: service_metrics("gateway", GatewayMetrics),
    "jobs": job_metrics,
}


def generate(page: Path) -> str:
    """Return the page with its tables as they should be."""
    text = page.read_text(encoding="utf-8")
    return BLOCK.sub(lambda mark: f"{mark[1]}\n{TABLES[mark[2]]()}\n{mark[3]}", text)


def main() -> None:
    for name in ("settings.md", "metrics.md"):
        text = generate(DOCS / name)
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
