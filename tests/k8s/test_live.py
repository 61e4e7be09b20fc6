"""A real Prometheus with the shipped configuration scrapes real metrics: no panel stays empty, and
every alert has what it asks for."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml

from tests.k8s.conftest import need
from tests.k8s.dashboards import MONITORING, Panel, Prometheus, boards, panels
from tests.k8s.exposed import TARGET_LABELS, Exposed, push_jobs, served

SCRAPES, PATIENCE = 5, 20.0
RULES = yaml.safe_load((MONITORING / "rules.yml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SELECTOR = re.compile(r"(?:\b(?:persona_|push_)\w+|(?={__name__))(?:{[^}]*})?")


@contextmanager
def process(*command: object, log: Path) -> Iterator[None]:
    with log.open("w") as file:
        running = subprocess.Popen([str(part) for part in command], stdout=file, stderr=file)
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def configuration(found: dict[str, list[str]]) -> dict[str, Any]:
    """The shipped one with these addresses in place of DNS, more often."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "300ms", "evaluation_interval": "300ms"}
    config["scrape_configs"].append({"job_name": "node"})
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [target]} for target in found[job["job_name"]]]
        if job["job_name"] == "gateways":
            for static, labels in zip(job["static_configs"], TARGET_LABELS, strict=True):
                static["labels"] = labels
    return config


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def wait_for(prometheus: Prometheus, expr: str, exposed: Exposed, logs: Path) -> None:
    """Let people write until the expression finds something."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        exposed.go_on()
        try:
            if prometheus.now(expr):
                return
        except (URLError, ConnectionError):
            pass  # it starts
        time.sleep(0.05)
    said = "\n".join(file.read_text() for file in logs.glob("*.log"))
    pytest.fail(f"{expr} finds nothing\n{said}")


@contextmanager
def monitored(folder: Path, exposed: Exposed) -> Iterator[Prometheus]:
    """Prometheus and Pushgateway over what is exposed, once it was scraped a few times."""
    own, pushed = free_address(), free_address()
    with ExitStack() as stack:
        *gateways, generation, node = stack.enter_context(served(exposed))
        found = {
            "gateways": gateways, "generation": [generation], "node": [node],
            "pushgateway": [pushed], "prometheus": [own],
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration(found)))
        (folder / "rules.yml").write_text((MONITORING / "rules.yml").read_text())
        store = f"--persistence.file={folder / 'pushed'}"
        listen = "--web.listen-address="
        stack.enter_context(
            process("prometheus-pushgateway", listen + pushed, store, log=folder / "pushed.log")
        )
        stack.enter_context(
            process(
                "prometheus", listen + own, f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}", log=folder / "prometheus.log",
            )
        )  # fmt: skip
        prometheus = Prometheus(f"http://{own}")
        wait_for(prometheus, 'up{job="pushgateway"} == 1', exposed, folder)
        push_jobs(f"http://{pushed}")
        targets = sum(len(each) for each in found.values())
        scraped = f"count(sum_over_time(up[1m]) >= {SCRAPES}) == {targets}"
        wait_for(prometheus, scraped, exposed, folder)
        wait_for(prometheus, 'ALERTS{alertstate="firing"}', exposed, folder)
        yield prometheus


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    need("prometheus", "prometheus")
    need("prometheus-pushgateway", "prometheus-pushgateway")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("no_proxy", "127.0.0.1")
        with monitored(tmp_path_factory.mktemp("live"), Exposed()) as prometheus:
            yield prometheus


@pytest.mark.parametrize(
    "panel", [one for one in panels() if one.queries], ids=lambda one: f"{one.board}-{one.title}"
)
def test_no_panel_stays_empty(live: Prometheus, panel: Panel) -> None:
    for query in panel.queries:
        expr = query.filled(rate="5s")
        found = live.now(expr) if query.instant else live.lately(expr, time.time(), 5, steps=10)
        assert any(series.numbers for series in found), query.expr
        names = {query.name(series.labels) for series in found}
        assert "" not in names
        assert len(names) == len(found), "two lines of one name"


@pytest.mark.parametrize("board", boards().values(), ids=boards())
def test_the_list_of_bots_is_found(live: Prometheus, board: dict[str, Any]) -> None:
    [query] = [one["query"] for one in board["templating"]["list"] if one["name"] == "bot"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
    assert found
    assert live.get(f"label/{found[2]}/values", **{"match[]": found[1]}) == ["avtobus", "polkson"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_finds_what_it_asks_for(live: Prometheus, alert: dict[str, Any]) -> None:
    live.now(alert["expr"])
    asked = set(SELECTOR.findall(alert["expr"]))
    assert asked
    for selector in asked:
        assert live.now(selector), selector


def test_only_what_is_wrong_fires(live: Prometheus) -> None:
    """One job failed; a version is refused, for less than a minute yet."""
    states = {
        (one.labels["alertname"], one.labels["bot"], one.labels["alertstate"])
        for one in live.now("ALERTS")
    }
    assert states == {
        ("JobFailed", "polkson", "firing"),
        ("VersionRefused", "polkson", "pending"),
    }
