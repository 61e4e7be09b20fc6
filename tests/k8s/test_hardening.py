"""What every pod must have: restricted Pod Security, one user, limits, probes, pinned images."""

import pytest

from tests.k8s.builds import Resource, all_containers, built, containers, kinds, pods, templates
from tests.k8s.conftest import BUILDS, COMPLETE, OVERLAYS, WHOLE

USER = 10001
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: Resource) -> list[str]:
    """Return what violates the restricted profile (kubernetes.io/docs/concepts/security/)."""
    security = pod.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    if security.get("sysctls") or "ephemeralContainers" in pod:
        found.append("sysctls or ephemeral containers")
    for volume in pod.get("volumes", ()):
        if not set(volume) - {"name"} <= VOLUMES:
            found.append(f"volume {volume['name']}")
    for container in containers(pod):
        own = container.get("securityContext", {})
        both = {**security, **own}
        checks = {
            "privileged": not own.get("privileged"),
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "user": both.get("runAsNonRoot") is True and both.get("runAsUser") != 0,
            "seccomp": both.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "proc": "procMount" not in own,
            "host port": not any("hostPort" in port for port in container.get("ports", ())),
        }
        found += [f"{container['name']}: {name}" for name, kept in checks.items() if not kept]
    return found


@pytest.mark.parametrize("name", BUILDS)
def test_every_pod_is_admitted_by_the_restricted_profile(name: str) -> None:
    assert {each: found for each, pod in pods(name).items() if (found := violations(pod))} == {}


def test_an_unrestricted_pod_would_be_refused() -> None:
    open_pod = {
        "hostNetwork": True,
        "volumes": [{"name": "x", "hostPath": {"path": "/"}}],
        "containers": [{"name": "c", "ports": [{"hostPort": 1}]}],
    }
    assert len(violations(open_pod)) == 7


def test_the_namespace_enforces_the_profile() -> None:
    labels = kinds("vds", "Namespace")["persona-bots"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("name", COMPLETE)
def test_no_pod_starts_without_a_secret_that_it_names(name: str) -> None:
    for each, container in all_containers(name):
        for variable in container.get("env", ()):
            secret = variable.get("valueFrom", {}).get("secretKeyRef", {})
            assert not secret.get("optional"), f"{each}: {variable['name']}"


@pytest.mark.parametrize("name", COMPLETE)
def test_pods_run_as_one_user_without_a_token_and_with_limits(name: str) -> None:
    for each, pod in pods(name).items():
        security = pod["securityContext"]
        assert security["runAsUser"] == security["runAsGroup"] == USER, each
        assert pod["automountServiceAccountToken"] is False, each
        assert pod["enableServiceLinks"] is False, each
        mounts = [mount for one in containers(pod) for mount in one.get("volumeMounts", ())]
        names = {volume["name"] for volume in pod.get("volumes", ())}
        assert {mount["name"] for mount in mounts} == names, each
    for each, one in all_containers(name):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True, each
        assert one["terminationMessagePolicy"] == "FallbackToLogsOnError", each
        assert one["resources"]["limits"].keys() == {"memory"}, each  # idle CPU may be used
        assert one["resources"]["requests"].keys() == {"cpu", "memory"}, each


@pytest.mark.parametrize("name", OVERLAYS)
def test_images_are_pinned_and_pulled_once(name: str) -> None:
    for each, one in all_containers(name):
        image, _, tag = one["image"].partition(":")
        assert image, each
        assert tag not in ("", "latest"), each
        assert one["imagePullPolicy"] == "IfNotPresent", each


@pytest.mark.parametrize("name", COMPLETE)
def test_servers_have_probes_and_time_to_drain(name: str) -> None:
    for each, container in all_containers(name):
        if each.startswith("CronJob/"):
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            asked = container[probe].get("httpGet") or container[probe]["grpc"]
            assert asked["port"] in {*ports, *ports.values()}, (each, probe)
        drain = 20  # the services' DRAIN_SECONDS
        stop = container.get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
        before = stop["sleep"]["seconds"]
        if each == "Deployment/generation":
            assert before >= 5  # the TTL of cluster DNS, which then has the successor
        grace = pods(name)[each].get("terminationGracePeriodSeconds", 30)
        assert grace >= before + drain + 10, each


def cpu(container: Resource) -> int:
    return int(container["resources"]["requests"]["cpu"].removesuffix("m"))


def test_jobs_give_way_to_what_answers_people() -> None:
    classes = {one: each["value"] for one, each in kinds("vds", "PriorityClass").items()}
    for each, template in templates("vds").items():
        job = template["metadata"]["labels"].get("persona-bots/part") == "job"
        if job or each.startswith(("Deployment/gateway", "Deployment/generation")):
            assert (classes[template["spec"]["priorityClassName"]] < 0) == job, each
    generation = cpu(pods("vds")["Deployment/generation"]["containers"][0])
    assert all(5 * cpu(one) <= generation for _, one in all_containers("vds", "CronJob"))


def test_every_resource_is_in_the_namespace() -> None:
    for one in built(WHOLE):
        if one["kind"] not in ("Namespace", "PriorityClass"):
            assert one["metadata"]["namespace"] == "persona-bots", one["kind"]
