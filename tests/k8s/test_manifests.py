"""The manifests conform to the Kubernetes schemas and give each bot what it needs."""

import functools
import importlib
import json
import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import typer
from aiogram.utils.token import validate_token

from contracts.bot_file import BotFile
from contracts.settings import Volumes
from services.gateway.settings import GatewaySettings
from services.generation.settings import GenerationSettings
from services.sandbox.demo_processes import token_variable
from services.sandbox.settings import SandboxSettings
from telemetry.job import PushSettings
from tests.k8s.builds import all_containers, built, containers, environment, kinds, pods, templates
from tests.k8s.conftest import BOTS, BUILDS, COMPLETE, OVERLAYS, ROOT

MODELS = (GatewaySettings, GenerationSettings, SandboxSettings, Volumes, PushSettings)
SETTINGS = {name.upper() for model in MODELS for name in model.model_fields}
SETTINGS |= {"HF_HOME"}  # of the hub's client
SETTINGS |= {token_variable(bot) for bot in BOTS}


@functools.cache
def _validate(resource: str, version: str) -> None:
    kubernetes_validate.validate(json.loads(resource), version, strict=True)


@pytest.mark.parametrize("version", ["1.32", "1.36"])
@pytest.mark.parametrize("name", BUILDS)
def test_every_resource_conforms_to_the_schema(name: str, version: str) -> None:
    for resource in built(name):
        _validate(json.dumps(resource, sort_keys=True), version)


def test_an_unknown_kind_or_key_would_be_refused() -> None:
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        _validate('{"apiVersion": "v1", "kind": "Sock", "metadata": {"name": "x"}}', "1.36")
    with pytest.raises(kubernetes_validate.ValidationError, match="spce"):
        _validate('{"apiVersion": "v1", "kind": "Service", "spce": {}}', "1.36")


@pytest.mark.parametrize("bot", BOTS)
def test_folders_of_bots_differ_only_by_the_name(bot: str) -> None:
    files = [ROOT / "k8s/bots" / name / "kustomization.yaml" for name in (bot, BOTS[0])]
    own, first = (file.read_text().replace(file.parent.name, "NAME") for file in files)
    assert own == first
    assert BotFile.read(ROOT / "k8s/bots" / bot).name == bot


@pytest.mark.parametrize("bot", BOTS)
@pytest.mark.parametrize("name", COMPLETE)
def test_a_bot_gets_its_own_label_token_file_and_volume(name: str, bot: str) -> None:
    gateway = kinds(name, "Deployment")[f"gateway-{bot}"]
    template = gateway["spec"]["template"]
    assert template["metadata"]["labels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["selector"]["matchLabels"]["persona-bots/bot"] == bot
    assert gateway["spec"]["strategy"] == {"type": "Recreate"}
    secret = environment(template["spec"])["TELEGRAM_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert re.fullmatch(rf"{bot}-telegram(-\w{{10}})?", secret["name"])
    assert secret["key"] == "token"
    volumes = {one["name"]: one for one in template["spec"]["volumes"]}
    config = kinds(name, "ConfigMap")[volumes["bot"]["configMap"]["name"]]
    assert config["data"] == {f"{bot}.yaml": (ROOT / f"k8s/bots/{bot}/bot.yaml").read_text()}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == f"gateway-{bot}"
    jobs = {each.removesuffix(bot) for each in kinds(name, "CronJob") if each.endswith(f"-{bot}")}
    assert jobs == {"learn-", "extract-", "train-", "publish-", "prune-", "backup-", "restore-"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_generation_gets_every_bots_file(name: str) -> None:
    volumes = {one["name"]: one for one in pods(name)["Deployment/generation"]["volumes"]}
    config = kinds(name, "ConfigMap")[volumes["bots"]["configMap"]["name"]]
    files = {f"{bot}.yaml": (ROOT / f"k8s/bots/{bot}/bot.yaml").read_text() for bot in BOTS}
    assert config["data"] == files


@pytest.mark.parametrize("name", COMPLETE)
def test_every_claim_and_setting_exists(name: str) -> None:
    claims = set(kinds(name, "PersistentVolumeClaim"))
    claims.add("backups")  # without the component backup the jobs that need it are suspended
    for pod in pods(name).values():
        for volume in pod.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
    for _, container in all_containers(name):
        if container["image"].startswith("persona-bots/"):
            assert {one["name"] for one in container.get("env", ())} <= SETTINGS


@pytest.mark.parametrize("name", COMPLETE)
def test_the_arguments_of_jobs_are_valid(name: str) -> None:
    assert len(kinds(name, "CronJob")) == 7 * len(BOTS) + 1
    for _, container in all_containers(name, "CronJob"):
        line = [*container.get("command", ())[2:], *container["args"]]
        module, *arguments = line[line.index("-m") + 1 :] if "-m" in line else line
        command = typer.main.get_command(importlib.import_module(module).app)
        if isinstance(command, typer.core.TyperGroup):
            command = command.commands[arguments.pop(0)]
        command.make_context(module, arguments)


@pytest.mark.parametrize("bot", BOTS)
@pytest.mark.parametrize("name", COMPLETE)
def test_old_versions_are_deleted_every_hour_without_anybody_asking(name: str, bot: str) -> None:
    job = kinds(name, "CronJob")[f"prune-{bot}"]["spec"]
    assert (job["suspend"], job["schedule"].split()[1:]) == (False, ["*"] * 4)
    [container] = containers(pods(name)[f"CronJob/prune-{bot}"])
    assert {"name": "models", "mountPath": "/models"} in container["volumeMounts"]


@pytest.mark.parametrize("bot", BOTS)
def test_learn_runs_the_steps_of_the_other_jobs(bot: str) -> None:
    jobs = (pods("vds")[f"CronJob/{job}-{bot}"] for job in ("extract", "train", "publish"))
    steps = [container for job in jobs for container in containers(job)]
    skipping = [{**each, "args": [*each["args"], "--skip-unchanged"]} for each in steps]
    assert containers(pods("vds")[f"CronJob/learn-{bot}"]) == skipping


@pytest.mark.parametrize("name", OVERLAYS)
def test_addresses_and_secrets_exist(name: str) -> None:
    services, secrets = kinds(name, "Service"), kinds(name, "Secret")
    ports = {f"{each}:{p['port']}" for each, one in services.items() for p in one["spec"]["ports"]}
    for pod in pods(name).values():
        for variable, one in environment(pod).items():
            if variable in ("GENERATION_ADDRESS", "TELEGRAM_API", "PUSHGATEWAY_URL"):
                assert one["value"].removeprefix("http://") in ports
            secret = one.get("valueFrom", {}).get("secretKeyRef")
            if secret and secret["name"] in secrets:
                assert secret["key"] in secrets[secret["name"]]["data"]
    labels = [each["metadata"]["labels"].items() for each in templates(name).values()]
    for each, service in services.items():
        assert any(service["spec"]["selector"].items() <= one for one in labels), each


def test_local_gateways_have_the_tokens_that_the_sandbox_knows() -> None:
    sandbox = environment(pods("local")["Deployment/sandbox"])
    pairs = ",".join(f"{bot}=$({token_variable(bot)})" for bot in BOTS)
    assert sandbox["SANDBOX_TOKENS"]["value"] == pairs
    for bot in BOTS:
        gateway = environment(pods("local")[f"Deployment/gateway-{bot}"])
        assert gateway["TELEGRAM_TOKEN"]["valueFrom"] == sandbox[token_variable(bot)]["valueFrom"]


def test_local_tokens_are_random_and_kept_once_made(tmp_path: Path) -> None:
    """The script with a kubectl that keeps Secrets as files."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f"""#!/usr/bin/env bash
cd {tmp_path}
case "$*" in
  *"get secret"*) test -e "$5" ;;
  *"create secret"*) cat > "$6" ;;
esac
"""
    )
    kubectl.chmod(0o755)
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    kept = []
    for _ in range(2):
        subprocess.run([ROOT / "k8s/overlays/local/tokens.sh"], env=path, check=True)
        kept.append([(tmp_path / f"{bot}-telegram").read_text() for bot in BOTS])
    assert kept[0] == kept[1]
    assert all(validate_token(token) for token in kept[0])
    assert len({token.partition(":")[2] for token in kept[0]}) == len(BOTS)


@pytest.mark.parametrize("name", COMPLETE)
def test_every_job_has_a_deadline(name: str) -> None:
    hours = {"learn": 48, "train": 48, "publish": 6, "extract": 2, "fetch-base": 2}
    hours |= {"backup": 1, "restore": 1, "prune": 1}
    for job in kinds(name, "CronJob").values():
        kind, spec = job["metadata"]["labels"]["app.kubernetes.io/name"], job["spec"]["jobTemplate"]
        assert spec["spec"]["activeDeadlineSeconds"] == hours[kind] * 3600, kind
