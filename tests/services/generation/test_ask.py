"""Whether a service is there: one that runs is asked; one that starts is waited for."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Timer

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from services.generation import ask
from tests.conftest import PATIENCE


@contextmanager
def _health_of(status: int) -> Iterator[tuple[health.HealthServicer, str]]:
    statuses = health.HealthServicer()
    statuses.set("", status)
    server = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(statuses, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield statuses, address
    server.stop(0).wait()


def test_a_service_that_is_slow_to_start_is_waited_for() -> None:
    with _health_of(HealthCheckResponse.NOT_SERVING) as (statuses, address):
        Timer(0.2, statuses.set, ("", HealthCheckResponse.SERVING)).start()
        assert ask.is_serving(address, PATIENCE)


def test_a_service_that_does_not_serve_is_asked_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)  # no other may be started
    monkeypatch.setattr(ask, "ANSWER_SECONDS", 0.1)
    with _health_of(HealthCheckResponse.NOT_SERVING) as (_, address), ask.service(address):
        pass


def test_an_absent_service_or_an_ended_process_is_not_waited_for(closed_port: int) -> None:
    began = time.monotonic()
    assert not ask.is_serving(f"127.0.0.1:{closed_port}", PATIENCE)
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        assert not ask.is_serving(f"127.0.0.1:{closed_port}", PATIENCE, process)
    assert time.monotonic() - began < PATIENCE / 2
