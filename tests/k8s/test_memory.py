"""When memory runs out, the training ends before what answers people, and everything fits.

Two rules decide who ends: the kubelet's, which evicts pods, and the kernel's, which kills processes
(k3s leaves it to the kernel). What a pod uses is what docs/deploy.md says was measured, in MB.
"""

from dataclasses import dataclass

import pytest

from tests.k8s.builds import Resource, containers, kinds, pods
from tests.k8s.conftest import BOTS, OVERLAYS

GENERATION, FURTHER_BOT, GATEWAY = 660, 520, 240
TRAINING = {"started": 300, "lora": 1700, "full": 3400}
K3S_PODS = 140 << 20  # requests of CoreDNS and the metrics server
NODES = {2: 1900 << 20, 4: 3900 << 20, 8: 7900 << 20}
"""Memory that a server of so many GB has for pods to request."""
MB = 10**6


def request(container: Resource) -> int:
    """Return the requested memory in bytes."""
    quantity = str(container["resources"]["requests"]["memory"])
    return int(quantity[:-2]) << {"Mi": 20, "Gi": 30}[quantity[-2:]]


def pod_request(pod: Resource) -> int:
    """Return what the scheduler reserves: the steps before the main containers run one by one."""
    before = [request(each) for each in pod.get("initContainers") or ()]
    return max([sum(map(request, pod["containers"])), *before])


@dataclass
class Running:
    """A pod whose one busy container uses so many bytes."""

    name: str
    pod: Resource
    container: Resource
    usage: int

    def eviction_rank(self) -> tuple[bool, int, int]:
        """Order pods as the kubelet does: who is over its request, then who matters less."""
        spare = pod_request(self.pod) - self.usage
        priority = kinds("vds", "PriorityClass")[self.pod["priorityClassName"]]["value"]
        return spare >= 0, priority, spare

    def badness(self, node: int) -> float:
        """Return the kernel's score: the highest is killed."""
        adjustment = min(max(2, 1000 - 1000 * request(self.container) // node), 999)
        return self.usage + adjustment * node / 1000


def running(bots: int, training: str) -> list[Running]:
    found = pods("vds")
    learn, generation = found[f"CronJob/learn-{BOTS[0]}"], found["Deployment/generation"]
    gateway = found[f"Deployment/gateway-{BOTS[0]}"]
    [train] = [each for each in containers(learn) if each["name"] == "train"]
    usage = (GENERATION + (bots - 1) * FURTHER_BOT) * MB
    return [
        Running("learn", learn, train, TRAINING[training] * MB),
        Running("generation", generation, generation["containers"][0], usage),
        Running("gateway", gateway, gateway["containers"][0], GATEWAY * MB),
    ]


@pytest.mark.parametrize(
    ("gigabytes", "bots", "training"),
    [(4, 1, "lora"), (4, 2, "started"), (4, 2, "lora"), (4, 3, "lora"), (8, 7, "full")],
)
def test_the_training_ends_first(gigabytes: int, bots: int, training: str) -> None:
    there = running(bots, training)
    assert min(there, key=Running.eviction_rank).name == "learn"
    assert max(there, key=lambda each: each.badness(NODES[gigabytes])).name == "learn"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_answers_requests_what_was_measured(overlay: str) -> None:
    found = pods(overlay)
    needed = {"Deployment/generation": GENERATION + (len(BOTS) - 1) * FURTHER_BOT}
    needed |= {f"Deployment/gateway-{bot}": GATEWAY for bot in BOTS}
    assert not [name for name, mb in needed.items() if pod_request(found[name]) < mb * MB]


@pytest.mark.parametrize(("gigabytes", "bots"), [(4, 3), (8, 7)])
def test_a_rollout_fits_beside_a_training(gigabytes: int, bots: int) -> None:
    found = pods("vds")
    gateway = f"Deployment/gateway-{BOTS[0]}"
    others = [name for name in found if name.startswith("Deployment/") and "gateway" not in name]
    names = [*others, "Deployment/generation", f"CronJob/learn-{BOTS[0]}", *[gateway] * bots]
    assert sum(pod_request(found[name]) for name in names) + K3S_PODS <= NODES[gigabytes]


def test_the_smallest_box_fits_two_bots_and_a_rollout_as_the_page_advises() -> None:
    gateways = 2 * pod_request(pods("vds")[f"Deployment/gateway-{BOTS[0]}"])
    assert gateways + 2 * (512 << 20) + K3S_PODS <= NODES[2]
