"""Runs Debian's Prometheus and Pushgateway with the manifests' arguments and configuration."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import yaml

from tests.conftest import PATIENCE
from tests.k8s.dashboards import MONITORING


@contextmanager
def shipped(name: str, tool: str, address: str, folder: Path) -> Iterator[None]:
    """Run the tool with the arguments of its manifest; /data and /etc are in the folder."""
    [pod, *_] = yaml.safe_load_all((MONITORING / f"{name}.yaml").read_text())
    [container] = pod["spec"]["template"]["spec"]["containers"]
    arguments = [re.sub("=/", f"={folder}/", one) for one in container["args"]]
    command = [tool, f"--web.listen-address={address}", *arguments]
    (folder / "data").mkdir(exist_ok=True)
    with (folder / f"{name}.log").open("w") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def configuration(found: dict[str, list[str]]) -> dict[str, Any]:
    """Return the shipped configuration with these addresses instead of DNS, and short intervals."""
    config: dict[str, Any] = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "300ms", "evaluation_interval": "300ms"}
    config["scrape_configs"].append({"job_name": "node"})
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [target]} for target in found[job["job_name"]]]
    return config


def wait(holds: Callable[[], object], what: str, logs: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(URLError, ConnectionError):  # it starts
            if holds():
                return
        time.sleep(0.05)
    said = "\n".join(file.read_text() for file in logs.glob("*.log"))
    pytest.fail(f"{what}\n{said}")
