"""Waits for a process of the generation service, for benchmarks and tests that start one."""

import subprocess
from threading import Thread

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.generation.client import CHANNEL_OPTIONS

RECONNECT = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
"""A service that is starting is soon there: by default gRPC's pauses begin with a second."""


def is_serving(address: str, seconds: float, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until the service says SERVING; returns whether it did before the process ended."""
    with grpc.insecure_channel(address, [*CHANNEL_OPTIONS, *RECONNECT]) as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=seconds, wait_for_ready=True
        )
        Thread(target=_cancel_at_end, args=(process, changes), daemon=True).start()
        try:
            return any(
                change.status == health_pb2.HealthCheckResponse.SERVING for change in changes
            )
        except grpc.RpcError:
            return False


def _cancel_at_end(process: "subprocess.Popen[bytes]", call: grpc.Call) -> None:
    process.wait()
    call.cancel()
