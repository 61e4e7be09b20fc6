"""The shipped configuration in a real Prometheus, with addresses in place of names."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "k8s/components/monitoring"
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARDS = sorted(path.stem for path in FOLDER.glob("dashboards/*.json"))


def needs(package: str, command: str) -> None:
    """Skip where the Debian package is missing, except in the gate."""
    if shutil.which(command) is None:
        assert not os.environ.get("CI"), f"{package} is missing"
        pytest.skip(f"{package} is missing")


@dataclass(frozen=True)
class Query:
    dashboard: str
    panel: str
    expression: str
    legend: str


def queries() -> Iterator[Query]:
    """Every query of every panel, for all bots."""
    for name in DASHBOARDS:
        for panel in json.loads((FOLDER / f"dashboards/{name}.json").read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"].replace("$bot", ".*")
                assert "$" not in expression
                yield Query(name, panel["title"], expression, target["legendFormat"])


@dataclass(frozen=True)
class Prometheus:
    url: str

    async def get(self, path: str, **parameters: str) -> Any:
        """Raises AssertionError for what Prometheus refuses."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=parameters) as response,
        ):
            answer = await response.json()
            assert answer["status"] == "success", answer
            return answer["data"]

    async def query(self, expression: str) -> list[dict[str, Any]]:
        return list((await self.get("query", query=expression))["result"])

    async def until(self, *expressions: str, seconds: float = 30.0) -> None:
        """Wait until each has a result."""
        async with asyncio.timeout(seconds):
            for expression in expressions:
                while not await self.query(expression):  # noqa: ASYNC110 (a process is waited for)
                    await asyncio.sleep(0.2)


@asynccontextmanager
async def process(command: list[str], ready: str) -> AsyncIterator[str]:
    """Run a server of which `{port}` is the port inside the block; yields its address."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    log = subprocess.DEVNULL
    parts = [part.format(port=port) for part in command]
    with subprocess.Popen(parts, stdout=log, stderr=log) as server:  # noqa: ASYNC220 (begun at once)
        try:
            async with asyncio.timeout(20), aiohttp.ClientSession() as session:
                while not await _answers(session, url + ready):
                    assert server.poll() is None, command
                    await asyncio.sleep(0.05)
            yield url
        finally:
            server.terminate()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def pushgateway() -> AsyncIterator[str]:
    needs("prometheus-pushgateway", "prometheus-pushgateway")
    listen = "--web.listen-address=127.0.0.1:{port}"
    async with process(["prometheus-pushgateway", listen], "/-/ready") as url:
        yield url


@asynccontextmanager
async def prometheus(folder: Path, targets: Mapping[str, list[str]]) -> AsyncIterator[Prometheus]:
    """Scrape `targets` (by job, `box` is one more) twice a second."""
    needs("prometheus", "prometheus")
    shipped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    shipped["rule_files"] = [str(FOLDER / "rules.yml")]
    shipped["scrape_configs"].append({"job_name": "box"})
    for job in shipped["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": targets.get(job["job_name"], [])}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(shipped), encoding="utf-8")
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    listen = "--web.listen-address=127.0.0.1:{port}"
    async with process([*command, listen], "/-/ready") as url:
        yield Prometheus(url)


def anchors(markdown: str) -> list[str]:
    """Of all headings of the second level, as GitHub names them."""
    return [title.lower() for title in re.findall(r"^## (\w+)$", markdown, re.MULTILINE)]
