"""Every overlay builds, keeps to the schemas, and gives each bot what it needs."""

import re
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from contracts.bot_file import BotFile
from contracts.settings import Volumes
from extraction_jobs import build_dataset
from services.gateway.settings import GatewaySettings
from services.generation.settings import GenerationSettings
from services.sandbox.settings import SandboxSettings
from tests.k8s.conftest import BOTS, LISTED, OVERLAYS, ROOT, built, kinds, pods
from training_jobs import convert, evaluate, finetune, publish

SETTINGS = {
    name.upper()
    for model in (GatewaySettings, GenerationSettings, SandboxSettings, Volumes)
    for name in model.model_fields
} | {"HF_HOME"}


@pytest.mark.parametrize("version", ["1.32", "1.36"])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_keeps_to_the_schema(overlay: str, version: str) -> None:
    for resource in built(overlay):
        kubernetes_validate.validate(resource, version, strict=True)


def test_an_unknown_kind_or_key_would_be_refused() -> None:
    odd: dict[str, Any] = {"apiVersion": "v1", "kind": "Sock", "metadata": {"name": "x"}}
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(odd, "1.36", strict=True)
    odd = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(odd, "1.36", strict=True)


def test_a_listed_bot_is_listed_for_generation_too() -> None:
    files = LISTED["configMapGenerator"][0]["files"]
    assert sorted(files) == [f"{bot}.yaml={bot}/bot.yaml" for bot in BOTS]


@pytest.mark.parametrize("bot", BOTS)
def test_a_folder_differs_from_the_others_only_by_its_name(bot: str) -> None:
    texts = {
        (ROOT / "k8s/bots" / name / "kustomization.yaml").read_text().replace(name, "NAME")
        for name in BOTS
    }
    assert len(texts) == 1
    assert BotFile.read(ROOT / "k8s/bots" / bot).name == bot


@pytest.mark.parametrize("bot", BOTS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_bot_gets_its_own_label_token_file_and_volume(overlay: str, bot: str) -> None:
    gateway = kinds(overlay, "Deployment")[f"gateway-{bot}"]
    template = gateway["spec"]["template"]
    assert template["metadata"]["labels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["selector"]["matchLabels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["strategy"] == {"type": "Recreate"}
    environment = {one["name"]: one for one in template["spec"]["containers"][0]["env"]}
    secret = environment["TELEGRAM_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert re.fullmatch(rf"{bot}-telegram(-\w{{10}})?", secret["name"])
    assert secret["key"] == "token"
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    config = kinds(overlay, "ConfigMap")[volumes["bot"]["configMap"]["name"]]
    assert config["data"] == {f"{bot}.yaml": (ROOT / f"k8s/bots/{bot}/bot.yaml").read_text()}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"gateway-{bot}"
    jobs = {name for name in kinds(overlay, "CronJob") if name.endswith(f"-{bot}")}
    assert jobs == {f"extract-{bot}", f"train-{bot}", f"publish-{bot}"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_generation_gets_every_bots_file(overlay: str) -> None:
    spec = pods(overlay)["Deployment/generation"]
    volume = next(one for one in spec["volumes"] if one["name"] == "bots")
    assert sorted(kinds(overlay, "ConfigMap")[volume["configMap"]["name"]]["data"]) == [
        f"{bot}.yaml" for bot in BOTS
    ]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_claim_and_every_setting_exists(overlay: str) -> None:
    claims = kinds(overlay, "PersistentVolumeClaim")
    for pod in pods(overlay).values():
        for volume in pod.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        for one in pod["containers"][0]["env"]:
            assert one["name"] in SETTINGS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_may_write_to_its_image_or_run_as_root(overlay: str) -> None:
    for pod in pods(overlay).values():
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["automountServiceAccountToken"] is False
        for one in (*pod.get("initContainers", ()), *pod["containers"]):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        assert pod["enableServiceLinks"] is False
        containers = (*pod.get("initContainers", ()), *pod["containers"])
        mounts = {mount["name"] for one in containers for mount in one.get("volumeMounts", ())}
        assert mounts == {volume["name"] for volume in pod.get("volumes", ())}


JOBS = {
    "extraction_jobs.build_dataset": build_dataset.app,
    "training_jobs.finetune": finetune.app,
    "training_jobs.convert": convert.app,
    "training_jobs.evaluate": evaluate.app,
    "training_jobs.publish": publish.app,
}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_jobs_get_arguments_that_they_know(overlay: str) -> None:
    found = [pod for name, pod in pods(overlay).items() if name.startswith("CronJob/")]
    assert len(found) == 3 * len(BOTS)
    for pod in found:
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            module, *arguments = container["args"]
            typer.main.get_command(JOBS[module]).make_context(module, arguments)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_addresses_probes_and_secrets_lead_somewhere(overlay: str) -> None:
    ports = {
        f"{name}:{port['port']}"
        for name, service in kinds(overlay, "Service").items()
        for port in service["spec"]["ports"]
    }
    secrets = kinds(overlay, "Secret")
    for pod in pods(overlay).values():
        container = pod["containers"][0]
        named = {port["name"]: port["containerPort"] for port in container.get("ports", ())}
        for one in container["env"]:
            if one["name"] in ("GENERATION_ADDRESS", "TELEGRAM_API"):
                assert one["value"].removeprefix("http://") in ports
            secret = one.get("valueFrom", {}).get("secretKeyRef")
            if secret and (overlay == "local" or secret["name"] in secrets):
                assert secret["key"] in secrets[secret["name"]]["data"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if http := container.get(probe, {}).get("httpGet"):
                assert http["port"] in named
                assert http["path"] in ("/healthz", "/readyz", "/api/state")
            if grpc := container.get(probe, {}).get("grpc"):
                assert grpc["port"] in named.values()


def test_the_shelf_keeps_to_the_schema_and_runs_a_released_image() -> None:
    shelf = yaml.safe_load((ROOT / "k8s/shelf.yaml").read_text())
    kubernetes_validate.validate(shelf, "1.36", strict=True)
    released = {pod["containers"][0]["image"] for pod in pods("vds").values()}
    assert shelf["spec"]["containers"][0]["image"] in released
