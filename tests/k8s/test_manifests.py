"""What is built conforms to the Kubernetes schemas and gives each bot what it needs."""

import base64
import functools
import json
import re
from typing import Any

import kubernetes_validate
import pytest
import typer

from contracts.bot_file import BotFile
from contracts.settings import Volumes
from extraction_jobs import build_dataset
from services.gateway import backup
from services.gateway.settings import GatewaySettings
from services.generation.settings import GenerationSettings
from services.sandbox.settings import SandboxSettings, sandbox_token
from telemetry.job import PushSettings
from tests.k8s.conftest import (
    BOTS,
    BUILT,
    LISTED,
    OVERLAYS,
    ROOT,
    WHOLE,
    built,
    containers,
    kinds,
    pods,
    templates,
)
from training_jobs import convert, evaluate, fetch_base, finetune, publish

MODELS = (GatewaySettings, GenerationSettings, SandboxSettings, Volumes, PushSettings)
SETTINGS = {name.upper() for model in MODELS for name in model.model_fields}
SETTINGS |= {"HF_HOME", "JOB"}  # the hub's client's, and one that only other values refer to
SETTINGS |= {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}  # torch's own


@functools.cache
def _validate(resource: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(resource), version, strict=True)


@pytest.mark.parametrize("version", ["1.32", "1.36"])
@pytest.mark.parametrize("name", BUILT)
def test_every_resource_conforms_to_the_schema(name: str, version: str) -> None:
    for resource in built(name):
        _validate(json.dumps(resource, sort_keys=True), version)


def test_an_unknown_kind_or_key_would_be_refused() -> None:
    odd: dict[str, Any] = {"apiVersion": "v1", "kind": "Sock", "metadata": {"name": "x"}}
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate(odd, "1.36", strict=True)
    odd = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(odd, "1.36", strict=True)


def test_generation_gets_the_file_of_every_listed_bot() -> None:
    files = LISTED["configMapGenerator"][0]["files"]
    assert sorted(files) == [f"{bot}.yaml={bot}/bot.yaml" for bot in BOTS]


@pytest.mark.parametrize("bot", BOTS)
def test_folders_of_bots_differ_only_by_the_name(bot: str) -> None:
    texts = {
        (ROOT / "k8s/bots" / name / "kustomization.yaml").read_text().replace(name, "NAME")
        for name in BOTS
    }
    assert len(texts) == 1
    assert BotFile.read(ROOT / "k8s/bots" / bot).name == bot


@pytest.mark.parametrize("bot", BOTS)
@pytest.mark.parametrize("name", [*OVERLAYS, WHOLE])
def test_a_bot_gets_its_own_label_token_file_and_volume(name: str, bot: str) -> None:
    gateway = kinds(name, "Deployment")[f"gateway-{bot}"]
    template = gateway["spec"]["template"]
    assert template["metadata"]["labels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["selector"]["matchLabels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["strategy"] == {"type": "Recreate"}
    environment = {one["name"]: one for one in template["spec"]["containers"][0]["env"]}
    secret = environment["TELEGRAM_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert re.fullmatch(rf"{bot}-telegram(-\w{{10}})?", secret["name"])
    assert secret["key"] == "token"
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    config = kinds(name, "ConfigMap")[volumes["bot"]["configMap"]["name"]]
    assert config["data"] == {f"{bot}.yaml": (ROOT / f"k8s/bots/{bot}/bot.yaml").read_text()}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"gateway-{bot}"
    jobs = {each for each in kinds(name, "CronJob") if each.endswith(f"-{bot}")}
    wanted = ("learn", "extract", "train", "publish", "backup", "restore")
    assert jobs == {f"{job}-{bot}" for job in wanted}


@pytest.mark.parametrize("name", OVERLAYS)
def test_generation_gets_every_bots_file(name: str) -> None:
    spec = pods(name)["Deployment/generation"]
    volume = next(one for one in spec["volumes"] if one["name"] == "bots")
    assert sorted(kinds(name, "ConfigMap")[volume["configMap"]["name"]]["data"]) == [
        f"{bot}.yaml" for bot in BOTS
    ]


@pytest.mark.parametrize("name", [*OVERLAYS, WHOLE])
def test_every_claim_and_setting_exists(name: str) -> None:
    claims = set(kinds(name, "PersistentVolumeClaim"))
    claims |= set() if "backups" in claims else {"backups"}  # of jobs that are suspended then
    for pod in pods(name).values():
        for volume in pod.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
        for container in containers(pod):
            if container["image"].startswith("persona-bots/"):
                assert {one["name"] for one in container.get("env", ())} <= SETTINGS


JOBS = {
    "extraction_jobs.build_dataset": build_dataset.app,
    "training_jobs.finetune": finetune.app,
    "training_jobs.convert": convert.app,
    "training_jobs.evaluate": evaluate.app,
    "training_jobs.publish": publish.app,
    "training_jobs.fetch_base": fetch_base.app,
    "services.gateway.backup": backup.app,
}


@pytest.mark.parametrize("name", [*OVERLAYS, WHOLE])
def test_the_arguments_of_jobs_are_valid(name: str) -> None:
    found = [pod for each, pod in pods(name).items() if each.startswith("CronJob/")]
    assert len(found) == 6 * len(BOTS) + 1
    for container in (each for pod in found for each in containers(pod)):
        line = [*container.get("command", ())[2:], *container["args"]]
        module, *arguments = line[line.index("-m") + 1 :] if "-m" in line else line
        command = typer.main.get_command(JOBS[module])
        if isinstance(command, typer.core.TyperGroup):
            command = command.commands[arguments.pop(0)]
        command.make_context(module, arguments)


def test_learn_runs_the_steps_of_the_other_jobs() -> None:
    for bot in BOTS:
        steps = containers(pods("vds")[f"CronJob/learn-{bot}"])
        alone = [
            container
            for job in ("extract", "train", "publish")
            for container in containers(pods("vds")[f"CronJob/{job}-{bot}"])
        ]
        skipping = [{**each, "args": [*each["args"], "--skip-unchanged"]} for each in alone]
        assert skipping == steps


@pytest.mark.parametrize("name", OVERLAYS)
def test_addresses_and_secrets_exist(name: str) -> None:
    ports = {
        f"{each}:{port['port']}"
        for each, service in kinds(name, "Service").items()
        for port in service["spec"]["ports"]
    }
    secrets = kinds(name, "Secret")
    for pod in pods(name).values():
        for one in pod["containers"][0].get("env", ()):
            if one["name"] in ("GENERATION_ADDRESS", "TELEGRAM_API", "PUSHGATEWAY_URL"):
                assert one["value"].removeprefix("http://") in ports
            secret = one.get("valueFrom", {}).get("secretKeyRef")
            if secret and (name == "local" or secret["name"] in secrets):
                assert secret["key"] in secrets[secret["name"]]["data"]
    for service in kinds(name, "Service").values():
        wanted = service["spec"]["selector"].items()
        chosen = [
            template
            for template in templates(name).values()
            if wanted <= template["metadata"]["labels"].items()
        ]
        assert chosen, service["metadata"]["name"]


def test_local_gateways_have_the_tokens_that_the_sandbox_knows() -> None:
    secrets = kinds("local", "Secret")
    for bot in BOTS:
        [token] = [
            one["valueFrom"]["secretKeyRef"]
            for one in pods("local")[f"Deployment/gateway-{bot}"]["containers"][0]["env"]
            if one["name"] == "TELEGRAM_TOKEN"
        ]
        found = base64.b64decode(secrets[token["name"]]["data"][token["key"]]).decode()
        assert found == sandbox_token(bot)


def test_training_on_several_nodes_is_given_its_first_pod() -> None:
    service = kinds(WHOLE, "Service")["training"]
    for bot in BOTS:
        pod = pods(WHOLE)[f"CronJob/train-{bot}"]
        assert pod["subdomain"] == service["metadata"]["name"]
        environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
        assert environment["MASTER_ADDR"] == f"$(JOB)-0.{pod['subdomain']}"
        assert environment["MASTER_PORT"] == str(service["spec"]["ports"][0]["port"])
        job = kinds(WHOLE, "CronJob")[f"train-{bot}"]["spec"]["jobTemplate"]["spec"]
        assert (
            environment["WORLD_SIZE"] == str(job["completions"]) == str(job["parallelism"]) == "2"
        )
