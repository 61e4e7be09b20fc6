"""The monitoring component: small pods, well-formed dashboards, queries of metrics that exist."""

import os
import re
from typing import Any

import pytest
import yaml

from services.gateway.decision import SPEAKS
from tests.k8s.conftest import ROOT, Resource, kustomized
from tests.k8s.dashboards import MONITORING, Panel, boards, panels

IMAGES = {
    "prometheus": r"docker\.io/prom/prometheus:v3\.\d+\.\d+",
    "pushgateway": r"docker\.io/prom/pushgateway:v1\.\d+\.\d+",
    "grafana": r"docker\.io/grafana/grafana:12\.\d+\.\d+",
}
OTHERS = {"ALERTS", "push_time_seconds", "process_resident_memory_bytes"}
"""Metrics of others, apart from those on the dashboard Box."""
RULES = (MONITORING / "rules.yml").read_text()
MEBIBYTES = {"requests": 400, "limits": 512}


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> list[Resource]:
    """The resources of an overlay that lists only this component."""
    folder = tmp_path_factory.mktemp("overlay")
    listed = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "persona-bots",
        "components": [os.path.relpath(MONITORING, folder.resolve())],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(listed))
    return kustomized(folder)


def named(resources: list[Resource], kind: str) -> dict[str, Resource]:
    return {one["metadata"]["name"]: one for one in resources if one["kind"] == kind}


def test_pods_have_pinned_images_and_are_small(resources: list[Resource]) -> None:
    deployments = named(resources, "Deployment")
    assert set(deployments) == set(IMAGES)
    total = dict.fromkeys(MEBIBYTES, 0)
    for name, deployment in deployments.items():
        assert deployment["spec"]["strategy"] == {"type": "Recreate"}
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["fsGroup"] == 10001  # who may write to the volume
        [container] = pod["containers"]
        assert re.fullmatch(IMAGES[name], container["image"])
        for kind in total:
            total[kind] += int(container["resources"][kind]["memory"].removesuffix("Mi"))
    assert all(total[kind] <= most for kind, most in MEBIBYTES.items()), total


def test_files_and_addresses_that_pods_are_given_exist(resources: list[Resource]) -> None:
    configs, services = named(resources, "ConfigMap"), named(resources, "Service")
    for name, deployment in named(resources, "Deployment").items():
        pod = deployment["spec"]["template"]["spec"]
        [container] = pod["containers"]
        for volume in pod["volumes"]:
            if config := volume.get("configMap"):
                assert {one["key"] for one in config.get("items", ())} <= set(
                    configs[config["name"]]["data"]
                )
        [port] = services[name]["spec"]["ports"]
        assert port["port"] == container["ports"][0]["containerPort"]
    [source] = yaml.safe_load((MONITORING / "datasources.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert configs["jobs-settings"]["data"] == {"PUSHGATEWAY_URL": "http://pushgateway:9091"}


def test_every_dashboard_is_shipped(resources: list[Resource]) -> None:
    [data] = [
        one["data"]
        for name, one in named(resources, "ConfigMap").items()
        if name.startswith("dashboards-")
    ]
    assert set(data) == {f"{name}.json" for name in boards()}


def test_scraping_needs_no_rights_in_the_cluster(resources: list[Resource]) -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        assert not [key for key in job if key.startswith("kubernetes")]
    assert not [one for one in resources if one["kind"].startswith(("Role", "ClusterRole"))]
    bases = [yaml.safe_load_all((ROOT / f"k8s/{name}.yaml").read_text())
             for name in ("base/generation", "gateway/gateway")]  # fmt: skip
    ports = {port["containerPort"] for base in bases for one in base if one["kind"] == "Deployment"
             for port in one["spec"]["template"]["spec"]["containers"][0]["ports"]
             if port["name"] == "metrics"}  # fmt: skip
    scraped = {
        sd["port"] for job in config["scrape_configs"] for sd in job.get("dns_sd_configs", ())
    }
    assert scraped == ports


@pytest.mark.parametrize("name", boards())
def test_a_dashboard_is_well_formed(name: str) -> None:
    board = boards()[name]
    assert board["uid"] == f"persona-{name}"
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "bot"]
    taken: dict[tuple[int, int], str] = {}
    for panel in (one for one in panels() if one.board == name):
        assert panel.raw["description"].endswith(".")
        place = panel.raw["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, f"{panel.title} lies on {taken[x, y]}"
                taken[x, y] = panel.title
        if panel.raw["type"] != "text":
            assert panel.unit
            assert panel.raw["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert all(query.legend for query in panel.queries)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)


def metric_names(expr: str) -> set[str]:
    """Return the metrics in an expression, without labels, ranges and functions."""
    bare = re.sub(r"{[^}]*}|\[[^]]*\]|\b(?:by|on|group_left) ?\([^)]*\)", " ", expr)
    words = set(re.findall(r"\b[A-Za-z_]\w+\b(?! ?\()", bare))
    return {word for word in words if "_" in word or word.isupper()} - {"group_left"}


def documented() -> set[str]:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `(persona_\w+)`", text, re.MULTILINE))


def unknown(expr: str) -> set[str]:
    plain = {re.sub("_(bucket|sum|count)$", "", name) for name in metric_names(expr)}
    return plain - documented() - OTHERS


@pytest.mark.parametrize("panel", panels(), ids=lambda one: f"{one.board}-{one.title}")
def test_a_panel_queries_documented_metrics(panel: Panel) -> None:
    strange = {name for query in panel.queries for name in unknown(query.expr)}
    allowed = ("node_", "kube_", "container_") if panel.board == "box" else ()
    assert not {name for name in strange if not name.startswith(allowed)}


def test_alerts_query_documented_metrics() -> None:
    rules: dict[str, Any] = yaml.safe_load(RULES)
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert metric_names(rule["expr"])
            assert not unknown(rule["expr"])


def test_unanswered_counts_the_messages_that_the_gateway_does_not_answer() -> None:
    text = (MONITORING / "dashboards/bots.json").read_text()
    found = re.search(r'reason!~\\"([^"\\]+)', text)
    assert found
    assert set(found[1].split("|")) == {reason.value for reason in SPEAKS}


def test_grafana_contacts_nobody_on_the_internet() -> None:
    text = (MONITORING / "grafana.ini").read_text()
    for line in (
        "reporting_enabled = false",
        "check_for_updates = false",
        "check_for_plugin_updates = false",
        "disable_gravatar = true",
        "news_feed_enabled = false",
        "preinstall_disabled = true",
        "[auth.anonymous]\nenabled = false",
    ):
        assert line in text
