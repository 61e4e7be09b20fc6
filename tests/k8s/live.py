"""Run Debian's Prometheus and Pushgateway with the manifests' arguments and configuration."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError

import pytest
import yaml
from httpx import HTTPError

from tests.conftest import PATIENCE
from tests.k8s.dashboards import MONITORING, RULES

T = TypeVar("T")


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


def configure(folder: Path, targets: dict[str, list[str]]) -> None:
    """Write the shipped configuration with addresses by job instead of DNS, and short intervals."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "300ms", "evaluation_interval": "300ms"}
    config["scrape_configs"].append({"job_name": "node"})
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [target]} for target in targets[job["job_name"]]]
    files = folder / "etc/prometheus"
    files.mkdir(parents=True)
    (files / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copy(RULES, files)


def wait(find: Callable[[], T], failure: str, logs: Path, seconds: float = PATIENCE) -> T:
    """Call `find` until its result is true, and return it; fail with the logs after that time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(URLError, ConnectionError, HTTPError):  # the server is starting
            if found := find():
                return found
        time.sleep(0.05)
    pytest.fail("\n".join([failure, *(file.read_text() for file in logs.glob("*.log"))]))
