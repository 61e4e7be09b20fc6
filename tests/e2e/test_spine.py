"""The whole path as a user walks it: commands only, from an export to an answer over gRPC."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.support.health import is_serving
from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import GenerationClient, turn
from tests.conftest import BOT, PATIENCE, free_address, open_to_others, toy_export
from tests.training_jobs.conftest import EXTRA_ROWS, write_gpt2

ROOT = Path(__file__).parents[2]


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, str]:
    """An environment with empty volumes and one bot."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / f"{BOT}.yaml").write_text(
        f"name: {BOT}\n"
        "extraction: {persona: whole-chat}\n"
        "training: {max_steps: 20, block_tokens: 64, weights: int8}\n"
    )
    folders = {name: str(tmp_path / name) for name in ("data", "models", "base", "bots")}
    return {**os.environ, **{f"{name.upper()}_DIR": path for name, path in folders.items()}}


def run(
    environment: dict[str, str], module: str, *options: object
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *map(str, options)]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, umask=0o022
    )


async def answer(address: str) -> pb.GenerateResponse:
    async with GenerationClient(address) as client:
        return await client.generate(BOT, [turn("Привет")], seed=1)


def test_an_export_goes_in_and_an_answer_comes_out(tmp_path: Path, volumes: dict[str, str]) -> None:
    export = tmp_path / "result.json"
    export.write_text(json.dumps(toy_export(), ensure_ascii=False), encoding="utf-8")
    bot = tmp_path / "bots" / f"{BOT}.yaml"
    base = write_gpt2(tmp_path / "shaped-as-rugpt3", extra_rows=EXTRA_ROWS)
    options = ["--bot", bot, "--input", export, "--base", base, "--no-evaluate"]
    done = run(volumes, "training_jobs.pipeline", *options)
    assert done.returncode == 0, done.stderr
    assert not [
        *open_to_others(tmp_path / "data" / BOT),
        *open_to_others(tmp_path / "models" / BOT),
    ]

    address = free_address()
    host, _, port = address.partition(":")
    environment = {**volumes, "GRPC_HOST": host, "GRPC_PORT": port, "METRICS_PORT": "0"}
    command = [sys.executable, "-m", "services.generation"]
    service = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        assert is_serving(address, PATIENCE, service)
        asked = {**environment, "GENERATION_ADDRESS": address}
        said = run(asked, "services.generation.ask", "--bot", BOT, "--text", "Привет")
        assert (said.returncode, bool(said.stdout)) == (0, True), said.stderr
        response = asyncio.run(answer(address))
        assert response.candidates[0].tokens > 0
        current = tmp_path / "models" / BOT / "current"
        assert response.model_version == current.resolve().name
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(PATIENCE) == 0


def test_ask_says_that_no_service_runs(volumes: dict[str, str]) -> None:
    address = free_address()
    environment = {**volumes, "GENERATION_ADDRESS": address}
    result = run(environment, "services.generation.ask", "--bot", BOT, "--text", "Привет")
    assert result.returncode == 1
    assert f"does a service run at {address}" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("GRPC_PORT", "99999", "65535"),
        ("POLL_SECONDS", "soon", "number"),
        ("LOG_LEVEL", "x", "info"),
    ],
)
def test_the_service_refuses_a_bad_setting_by_name_value_and_what_is_allowed(
    volumes: dict[str, str], variable: str, value: str, allowed: str
) -> None:
    result = run({**volumes, variable: value}, "services.generation")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert all(part in result.stderr for part in (variable, value, allowed))
