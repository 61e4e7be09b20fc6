"""`python -m services.generation.ask`: one question to a bot, from the command line.

Asks the running service; where none runs, starts one for the question and stops it afterwards.
"""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import (
    CHANNEL_OPTIONS,
    DEFAULT_ADDRESS,
    BotUnavailable,
    GenerationClient,
    GenerationError,
    InvalidRequest,
    turn,
)
from telemetry.command_line import CommandLine

app = CommandLine()

ANSWER_SECONDS, READY_SECONDS = 1.0, 30.0
"""Time that a service which runs, and one that is started, has to say SERVING."""
ADDRESS = re.compile(r"[^\s:]+:\d{1,5}")
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
"""A service that is starting is soon there: by default gRPC's pauses begin with a second."""


def is_serving(
    address: str, seconds: float, process: "subprocess.Popen[bytes] | None" = None
) -> bool | None:
    """Wait until the service says SERVING; returns whether it did in time, None if none is there.

    Where nobody listens the answer comes at once, unless a `process` is given that is starting to
    listen there, and while it runs.
    """
    with grpc.insecure_channel(address, [*CHANNEL_OPTIONS, *RECONNECT]) as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=seconds, wait_for_ready=process is not None
        )
        if process is not None:
            Thread(target=_cancel_at_end, args=(process, changes), daemon=True).start()
        try:
            return any(
                change.status == health_pb2.HealthCheckResponse.SERVING for change in changes
            )
        except grpc.RpcError:
            return None if changes.code() is grpc.StatusCode.UNAVAILABLE else False


def _cancel_at_end(process: "subprocess.Popen[bytes]", call: grpc.Call) -> None:
    process.wait()
    call.cancel()


@contextmanager
def service(address: str) -> Iterator[None]:
    """Make sure that a service runs at the address inside the block.

    One that runs but does not serve is left alone: asked, it says why.
    """
    if is_serving(address, ANSWER_SECONDS) is not None:
        yield
        return
    host, _, port = address.rpartition(":")
    environment = {"LOG_LEVEL": "error", **os.environ, "METRICS_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.generation"],
        env={**environment, "GRPC_HOST": host, "GRPC_PORT": port},
    )
    try:
        if not is_serving(address, READY_SECONDS, process) and (code := process.poll()) is not None:
            typer.echo(f"error: no service started at {address}", err=True)
            raise typer.Exit(code or 1)
        yield
    finally:
        process.terminate()
        process.wait()


@app.command()
def main(
    bot: Annotated[str, typer.Option(help="The bot's name, e.g. avtobus.")],
    text: Annotated[str, typer.Option(help="What to say to it.")],
    address: Annotated[str, typer.Option(envvar="GENERATION_ADDRESS")] = DEFAULT_ADDRESS,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the answer repeatable.")] = None,
) -> None:
    """Print a bot's answer, a message a line."""
    if not ADDRESS.fullmatch(address):
        typer.echo(f"error: GENERATION_ADDRESS: must be host:port (given: {address!r})", err=True)
        raise typer.Exit(2)

    async def ask() -> pb.GenerateResponse:
        async with GenerationClient(address) as client:
            return await client.generate(bot, [turn(text)], chat_key="ask", seed=seed)

    with service(address):
        try:
            response = asyncio.run(ask())
        except GenerationError as error:
            is_refusal = isinstance(error, BotUnavailable | InvalidRequest)
            typer.echo(f"error: {error.text if is_refusal else error}", err=True)
            raise typer.Exit(2 if is_refusal else 1) from None
        for message in response.candidates[0].messages or ("(it says nothing)",):
            typer.echo(message)


if __name__ == "__main__":
    app()
