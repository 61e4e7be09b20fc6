"""The images, run as the manifests run them: from an export to an answer in the sandbox.

Slow: needs the images of `make images TAG=dev` and trains in them. CONTAINERS is the engine with
its options, such as "podman --runtime runc"; CONTAINER_OPTIONS are more options for its `run`.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from extraction_jobs.sample_chats.__main__ import app as sample_chats
from services.sandbox.settings import sandbox_token
from tests.debian_package import need
from tests.k8s.builds import Resource, containers, kinds, templates
from tests.k8s.conftest import BOTS
from tests.k8s.live import wait

ENGINE = shlex.split(os.environ.get("CONTAINERS", "podman"))
OPTIONS = shlex.split(os.environ.get("CONTAINER_OPTIONS", ""))
BOT = "avtobus"
SANDBOX, GATEWAY = "http://127.0.0.1:8081", "http://127.0.0.1:9465"
pytestmark = pytest.mark.slow


class Box:
    """A node: its volumes, and containers that see them as pods do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tokens = {f"{bot}-telegram": sandbox_token(bot) for bot in BOTS}

    def volume(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)
        return path

    def command(self, template: Resource, container: Resource, **more: str) -> list[str]:
        """Return `run` with the container's own restrictions, environment and mounts."""
        spec, labels = template["spec"], template["metadata"]["labels"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        user = spec["securityContext"]["runAsUser"]
        bot = labels.get("persona-bots/bot", "")
        variables = container.get("env", ())
        environment = {one["name"]: self._value(one, bot) for one in variables} | more
        for name, value in environment.items():  # as Kubernetes fills variables in
            environment[name] = re.sub(r"\$\((\w+)\)", lambda m: environment[m[1]], value)
        arguments = [
            "run", "--rm", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all",
            "--security-opt=no-new-privileges", f"--user={user}:{user}", "--network=host",
            *(f"--add-host={name}:127.0.0.1" for name in ("generation", "sandbox")),
            *(f"--env={name}={value}" for name, value in environment.items()),
            *self._mounts(spec, container, bot), *OPTIONS,
        ]  # fmt: skip
        if "command" in container:
            arguments.append(f"--entrypoint={container['command'][0]}")
        line = [*container.get("command", ())[1:], *container.get("args", ())]
        expanded = [part.replace("$(BOT)", bot) for part in line]
        return [*ENGINE, *arguments, f"docker.io/{container['image']}", *expanded]

    def _value(self, variable: Resource, bot: str) -> str:
        source = variable.get("valueFrom", {})
        if secret := source.get("secretKeyRef"):
            return self._tokens[secret["name"]]
        return bot if "fieldRef" in source else str(variable["value"])

    def _mounts(self, spec: Resource, container: Resource, bot: str) -> list[str]:
        volumes = {each["name"]: each for each in spec.get("volumes", ())}
        found = []
        for mount in container.get("volumeMounts", ()):
            volume, place = volumes[mount["name"]], mount["mountPath"]
            if "emptyDir" in volume:
                found.append(f"--tmpfs={place}:mode=1777")
                continue
            claim = volume.get("persistentVolumeClaim", {}).get("claimName", "bots")
            source = self.volume(f"{claim}/{mount.get('subPathExpr', '').replace('$(BOT)', bot)}")
            found.append(f"--volume={source}:{place}:{'ro' if mount.get('readOnly') else 'rw'}")
        return found

    def run(self, name: str) -> None:
        """Run all containers of a job, one after another."""
        template = templates("local")[name]
        for container in containers(template["spec"]):
            command = self.command(template, container)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{container['name']}: {done.stderr}"

    @contextmanager
    def serving(self, name: str, **more: str) -> Iterator[None]:
        template = templates("local")[name]
        (container,) = template["spec"]["containers"]
        with subprocess.Popen(self.command(template, container, **more)) as process:
            try:
                yield
                assert process.poll() is None, name
            finally:
                process.terminate()
                assert process.wait(40) == 0, name


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A node with the sample export, and a bot that learns briefly from the base in the image."""
    need(ENGINE[0])
    box = Box(tmp_path)
    for name in ("data", "models", "base", f"gateway-{BOT}", "backups"):
        box.volume(name)
    sample_chats(["--output", str(tmp_path / "data")], standalone_mode=False)
    bot = yaml.safe_load(next(iter(kinds("local", "ConfigMap").values()))["data"][f"{BOT}.yaml"])
    bot["training"] |= {"base": "demo", "max_steps": 20}
    file = box.volume("bots") / f"{BOT}.yaml"
    file.write_text(yaml.safe_dump(bot, allow_unicode=True), encoding="utf-8")
    for path in tmp_path.rglob("*"):
        path.chmod(0o777)  # the containers' user is another one
    return box


def _group() -> list[Resource]:
    messages = httpx.get(f"{SANDBOX}/api/state").json()["messages"]
    return [message for message in messages if message["room"] == "group"]


def test_an_export_goes_in_and_a_person_gets_an_answer(box: Box) -> None:
    box.run(f"CronJob/learn-{BOT}")
    with ExitStack() as stack:
        for name in ("Deployment/sandbox", "Deployment/generation"):
            stack.enter_context(box.serving(name))
        stack.enter_context(box.serving(f"Deployment/gateway-{BOT}", METRICS_PORT="9465"))
        wait(lambda: httpx.get(f"{GATEWAY}/readyz").status_code == 200, "not ready", box.folder)
        asked = {"chat": "group", "person": "Борис", "text": f"@{BOT}_bot далеко ещё?"}
        httpx.post(f"{SANDBOX}/api/messages", json=asked).raise_for_status()
        wait(lambda: len(_group()) > 1, "no answer", box.folder)
        assert _group()[1]["name"] == BOT.capitalize()
        assert "reply" in httpx.get(f"{GATEWAY}/metrics").text
        box.run(f"CronJob/backup-{BOT}")  # while the gateway runs
    assert list((box.volume("backups") / BOT).glob("*/gateway.sqlite3"))
