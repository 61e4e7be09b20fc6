"""A real Prometheus with the shipped configuration scrapes real metrics: no panel stays empty, and
every alert finds its metrics."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.conftest import free_address
from tests.k8s.conftest import need
from tests.k8s.dashboards import ALERTS, Panel, Prometheus, boards, panels
from tests.k8s.exposed import BOTS, Exposed, push_jobs, served
from tests.k8s.live import configure, shipped, wait

SCRAPES = 5
SELECTOR = re.compile(r"(?:\b(?:persona_|push_)\w+|(?={__name__))(?:{[^}]*})?")


@pytest.fixture(autouse=True, scope="module")
def tools() -> Iterator[None]:
    need("prometheus", "prometheus")
    need("prometheus-pushgateway", "prometheus-pushgateway")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("no_proxy", "*")
        yield


@pytest.fixture(scope="module")
def live(tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, after it has scraped everything a few times."""
    folder, exposed = tmp_path_factory.mktemp("live"), Exposed()
    own, pushed = free_address(), free_address()
    prometheus = Prometheus(f"http://{own}")

    def wait_for(expr: str) -> None:
        """Add traffic until the expression has a result."""

        def find() -> object:
            exposed.go_on()
            return prometheus.now(expr)

        wait(find, f"{expr} finds nothing", folder)

    with ExitStack() as stack:
        *gateways, generation, node = stack.enter_context(served(exposed))
        targets = {"gateways": gateways, "generation": [generation], "node": [node]}
        targets |= {"pushgateway": [pushed], "prometheus": [own]}
        configure(folder, targets)
        stack.enter_context(shipped("pushgateway", "prometheus-pushgateway", pushed, folder))
        stack.enter_context(shipped("prometheus", "prometheus", own, folder))
        wait_for('up{job="pushgateway"} == 1')
        push_jobs(f"http://{pushed}")
        count = sum(len(each) for each in targets.values())
        wait_for(f"count(sum_over_time(up[1m]) >= {SCRAPES}) == {count}")
        wait_for('ALERTS{alertstate="firing"}')
        yield replace(prometheus, at=time.time())


@pytest.mark.parametrize(
    "panel", [one for one in panels() if one.queries], ids=lambda one: f"{one.board}-{one.title}"
)
def test_no_panel_stays_empty(live: Prometheus, panel: Panel) -> None:
    for query in panel.queries:
        expr = query.filled(rate="5s", bots="|".join(BOTS))
        found = live.now(expr) if query.instant else live.lately(expr, 5, steps=10)
        assert any(series.numbers for series in found), query.expr
        names = {query.name(series.labels) for series in found}
        assert "" not in names
        assert len(names) == len(found), "two lines of one name"


@pytest.mark.parametrize("board", boards().values(), ids=boards())
def test_the_list_of_bots_is_found(live: Prometheus, board: dict[str, Any]) -> None:
    [query] = [one["query"] for one in board["templating"]["list"] if one["name"] == "bot"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", query)
    assert found
    assert live.get(f"label/{found[2]}/values", **{"match[]": found[1]}) == list(BOTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_finds_its_metrics(live: Prometheus, alert: dict[str, Any]) -> None:
    live.now(alert["expr"])
    selectors = set(SELECTOR.findall(alert["expr"]))
    assert selectors
    for selector in selectors:
        assert live.now(selector), selector


def test_pushed_metrics_survive_a_restart_of_the_pushgateway(tmp_path: Path) -> None:
    address = free_address()

    def read(path: str) -> str:
        with urlopen(f"http://{address}/{path}", timeout=5) as page:
            return str(page.read().decode())

    counts = []
    for number in range(2):
        with shipped("pushgateway", "prometheus-pushgateway", address, tmp_path):
            wait(lambda: read("-/ready"), "no pushgateway", tmp_path)
            if number == 0:
                push_jobs(f"http://{address}")
            counts.append(read("metrics").count("\npush_time_seconds{"))
        assert (tmp_path / "data/pushed").is_file()  # and not where Debian's would keep it
    assert counts[0] == counts[1] > 0
