"""With the network policies each pod reaches the addresses in its settings, and no others."""

import ipaddress
from collections.abc import Iterator

import pytest

from tests.k8s.builds import Resource, all_containers, kinds, templates
from tests.k8s.conftest import BOTS, OVERLAYS

JOBS = {"learn", "extract", "train", "publish", "prune", "backup", "restore", "fetch-base"}
ALLOWED = {
    *((f"gateway-{bot}", "generation", 50051) for bot in BOTS),
    *((f"{job}-{bot}", "pushgateway", 9091) for bot in BOTS for job in JOBS - {"fetch-base"}),
    ("fetch-base", "pushgateway", 9091),
    *(("prometheus", f"gateway-{bot}", 9464) for bot in BOTS),
    ("prometheus", "generation", 9464),
    ("prometheus", "pushgateway", 9091),
    ("grafana", "prometheus", 9090),
}
"""Client, server and port (0 is any) of every connection that is allowed within the namespace."""
TO_THE_INTERNET = {*(f"gateway-{bot}" for bot in BOTS), "fetch-base"}
PRIVATE = ("10.42.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.0.1",
           "fd00::1", "fe80::1")  # fmt: skip
GUARDED = [name for name in OVERLAYS if kinds(name, "NetworkPolicy")]


def pods(name: str) -> dict[str, dict[str, str]]:
    """Return the labels of each pod by the name of its workload."""
    return {
        each.partition("/")[2]: template["metadata"]["labels"]
        for each, template in templates(name).items()
    }


def is_selected(selector: Resource, labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def rules(name: str, labels: dict[str, str], way: str) -> Iterator[tuple[Resource, int]]:
    """Yield peer and port of each rule that allows a pod's `ingress` or `egress` (`way`)."""
    for policy in kinds(name, "NetworkPolicy").values():
        if is_selected(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get(way, ()):
                for peer in rule["from" if way == "ingress" else "to"]:
                    for port in rule.get("ports", [{"port": 0}]):
                        yield peer, port["port"]


def pairs(name: str) -> set[tuple[str, str, int]]:
    """Return the connections that the policies of both sides allow."""

    def one_side(way: str) -> set[tuple[str, str, int]]:
        return {
            (own, other, port) if way == "egress" else (other, own, port)
            for own, labels in pods(name).items()
            for peer, port in rules(name, labels, way)
            if "podSelector" in peer
            for other, others in pods(name).items()
            if is_selected(peer["podSelector"], others)
        }

    return one_side("egress") & one_side("ingress")


@pytest.mark.parametrize("name", GUARDED)
def test_only_these_connections_are_allowed(name: str) -> None:
    assert pairs(name) == ALLOWED


@pytest.mark.parametrize("name", GUARDED)
def test_everything_else_is_denied_except_dns(name: str) -> None:
    default = kinds(name, "NetworkPolicy")["nothing-else"]["spec"]
    assert default == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for each, labels in pods(name).items():
        allowed = rules(name, labels, "egress")
        assert [port for peer, port in allowed if "namespaceSelector" in peer] == [53, 53], each


@pytest.mark.parametrize("name", GUARDED)
def test_pods_with_internet_access_reach_no_private_address(name: str) -> None:
    reach = set[str]()
    for each, labels in pods(name).items():
        for peer, port in rules(name, labels, "egress"):
            if block := peer.get("ipBlock"):
                reach.add(each)
                assert port == 443
                network, *denied = map(ipaddress.ip_network, (block["cidr"], *block["except"]))
                assert {part.version for part in denied} == {network.version}
                for address in map(ipaddress.ip_address, PRIVATE):
                    if address in network:
                        assert any(address in part for part in denied), address
    assert reach == TO_THE_INTERNET


@pytest.mark.parametrize("name", GUARDED)
def test_every_address_in_the_settings_may_be_reached(name: str) -> None:
    services = kinds(name, "Service")
    for each, container in all_containers(name):
        for one in container.get("env", ()):
            host, _, port = one.get("value", "").removeprefix("http://").partition(":")
            if host in services:
                assert (each.partition("/")[2], host, int(port)) in pairs(name)
