"""The monitoring component: small pods, well-formed dashboards, queries of metrics that exist."""

import itertools
import os
import re
import subprocess
from configparser import ConfigParser

import pytest
import yaml

from services.gateway.reasons import SPEAKS
from tests.k8s.builds import Resource, all_containers, kinds
from tests.k8s.conftest import ROOT, WHOLE
from tests.k8s.dashboards import MONITORING, SCRAPES, Panel, boards, panels

IMAGES = {
    "prometheus": r"docker\.io/prom/prometheus:v3\.\d+\.\d+",
    "pushgateway": r"docker\.io/prom/pushgateway:v1\.\d+\.\d+",
    "grafana": r"docker\.io/grafana/grafana:12\.\d+\.\d+",
}
OTHERS = {"ALERTS", "push_time_seconds", "process_resident_memory_bytes"}
"""Metrics of others, apart from those on the dashboard Box."""
MEBIBYTES = {"requests": 400, "limits": 512}


def deployments() -> dict[str, Resource]:
    return {name: kinds("monitoring", "Deployment")[name] for name in IMAGES}


def test_pods_have_pinned_images_and_are_small() -> None:
    assert kinds("monitoring", "Deployment").keys() - IMAGES == kinds("", "Deployment").keys()
    total = dict.fromkeys(MEBIBYTES, 0)
    for name, deployment in deployments().items():
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["fsGroup"] == 10001  # who may write to the volume
        [container] = pod["containers"]
        assert re.fullmatch(IMAGES[name], container["image"])
        for kind in total:
            total[kind] += int(container["resources"][kind]["memory"].removesuffix("Mi"))
    assert all(total[kind] <= most for kind, most in MEBIBYTES.items()), total


def test_files_and_addresses_that_pods_are_given_exist() -> None:
    configs, services = kinds("monitoring", "ConfigMap"), kinds("monitoring", "Service")
    for name, deployment in deployments().items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        for config in filter(None, (volume.get("configMap") for volume in pod["volumes"])):
            keys = {one["key"] for one in config.get("items", ())}
            assert keys <= set(configs[config["name"]]["data"])
        [port] = services[name]["spec"]["ports"]
        assert port["port"] == container["ports"][0]["containerPort"]
    [source] = yaml.safe_load((MONITORING / "datasources.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert configs["jobs-settings"]["data"] == {"PUSHGATEWAY_URL": "http://pushgateway:9091"}
    [shown] = [one["data"] for name, one in configs.items() if name.startswith("dashboards-")]
    assert set(shown) == {f"{name}.json" for name in boards()}


def test_scraping_needs_no_rights_in_the_cluster() -> None:
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        assert not kinds(WHOLE, kind)
    assert not [key for job in SCRAPES for key in job if key.startswith("kubernetes")]


def test_the_ports_of_metrics_are_scraped() -> None:
    containers = [one for _, one in all_containers("", "Deployment")]
    ports = {(port["name"], port["containerPort"]) for one in containers for port in one["ports"]}
    scraped = {one["port"] for job in SCRAPES for one in job.get("dns_sd_configs", ())}
    assert scraped == {port for name, port in ports if name == "metrics"}


@pytest.mark.parametrize("name", boards())
def test_a_dashboard_is_well_formed(name: str) -> None:
    board = boards()[name]
    assert board["uid"] == f"persona-{name}"
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "bot"]
    cells: list[tuple[int, int]] = []
    for panel in (one for one in panels() if one.board == name):
        assert panel.raw["description"].endswith(".")
        x, y, width, height = (panel.raw["gridPos"][key] for key in "xywh")
        assert x + width <= 24
        cells += itertools.product(range(x, x + width), range(y, y + height))
        assert len(set(cells)) == len(cells), f"{panel.title} lies on another panel"
        if panel.raw["type"] != "text":
            assert panel.raw["fieldConfig"]["defaults"]["unit"]
            assert panel.raw["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert all(query.legend for query in panel.queries)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def metric_names(expr: str) -> set[str]:
    """Return the metrics in an expression, without labels, ranges and functions."""
    bare = re.sub(r"{[^}]*}|\[[^]]*\]|\b(?:by|on|group_left) ?\([^)]*\)", " ", expr)
    words = set(re.findall(r"\b[A-Za-z_]\w+\b(?! ?\()", bare))
    return {word for word in words if "_" in word or word.isupper()} - {"group_left"}


def unknown(expr: str) -> set[str]:
    """Return the metrics in an expression that docs/metrics.md does not describe."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    plain = {re.sub("_(bucket|sum|count)$", "", name) for name in metric_names(expr)}
    return plain - set(re.findall(r"^\| `(persona_\w+)`", text, re.MULTILINE)) - OTHERS


@pytest.mark.parametrize("panel", panels(), ids=lambda one: f"{one.board}-{one.title}")
def test_a_panel_queries_documented_metrics(panel: Panel) -> None:
    strange = {name for query in panel.queries for name in unknown(query.expr)}
    allowed = ("node_", "kube_", "container_") if panel.board == "box" else ()
    assert not {name for name in strange if not name.startswith(allowed)}


def test_unanswered_counts_the_messages_that_the_gateway_does_not_answer() -> None:
    text = (MONITORING / "dashboards/bots.json").read_text()
    found = re.search(r'reason!~\\"([^"\\]+)', text)
    assert found
    assert set(found[1].split("|")) == {reason.value for reason in SPEAKS}


@pytest.mark.parametrize(("password", "code"), [("", 2), ("слово", 0)])
def test_grafana_does_not_start_with_an_empty_password(password: str, code: int) -> None:
    [grafana] = deployments()["grafana"]["spec"]["template"]["spec"]["containers"]
    shell, option, line = grafana["command"]
    line = line.replace("exec /run.sh", "true")
    environment = {**os.environ, "GF_SECURITY_ADMIN_PASSWORD": password}
    ended = subprocess.run([shell, option, line], env=environment, capture_output=True, check=False)
    assert ended.returncode == code
    assert (b"grafana-admin" in ended.stderr) == (not password)


def test_grafana_contacts_nobody_and_lets_nobody_in_but_by_its_password() -> None:
    settings = ConfigParser()
    settings.read(MONITORING / "grafana.ini")
    off = ["auth.anonymous enabled", "news news_feed_enabled", "analytics reporting_enabled"]
    off += ["analytics check_for_updates", "analytics check_for_plugin_updates"]
    off += ["users allow_sign_up", "users allow_org_create", "public_dashboards enabled"]
    on = ["security disable_gravatar", "plugins preinstall_disabled"]
    assert not any(settings.getboolean(*key.split()) for key in off)
    assert all(settings.getboolean(*key.split()) for key in on)
