"""Read the files of dashboards and alerts, and query a Prometheus through its API."""

import json
import re
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[2] / "k8s" / "components" / "monitoring"
RULES = MONITORING / "rules.yml"
CONFIG = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
SCRAPES: list[dict[str, Any]] = CONFIG["scrape_configs"]
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]


@dataclass(frozen=True)
class Query:
    """A panel's expression, which contains the variables `$bot` and `$__rate_interval`."""

    expr: str
    legend: str

    def filled(self) -> str:
        """Return the expression for all bots, with rates of five minutes."""
        return self.expr.replace("$__rate_interval", "5m").replace("$bot", ".*")

    def name(self, labels: dict[str, str]) -> str:
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), self.legend).strip()


@dataclass(frozen=True)
class Panel:
    """`raw` is the panel's part of the file."""

    board: str
    raw: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.raw["title"])

    @property
    def queries(self) -> list[Query]:
        return [Query(one["expr"], one["legendFormat"]) for one in self.raw.get("targets", ())]


def boards() -> dict[str, dict[str, Any]]:
    """Return the content of each file by its name."""
    files = sorted((MONITORING / "dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panels() -> list[Panel]:
    return [Panel(name, raw) for name, board in boards().items() for raw in board["panels"]]


@dataclass(frozen=True)
class Series:
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Prometheus:
    """A server that is queried as of the time `at`, by default now."""

    url: str
    at: float | None = None

    def get(self, path: str, **parameters: str) -> Any:
        """Return the API's answer; raises HTTPError for an invalid query."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def now(self, expr: str) -> list[Series]:
        at = {} if self.at is None else {"time": str(self.at)}
        found = self.get("query", query=expr, **at)["result"]
        return [Series(one["metric"], float(one["value"][1])) for one in found]
