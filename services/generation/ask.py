"""`python -m services.generation.ask`: one question to a bot, from the command line.

Asks the running service; where none runs, starts one for the question and ends it afterwards.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.generation.client import (
    CHANNEL_OPTIONS,
    DEFAULT_ADDRESS,
    BotUnavailable,
    GenerationError,
    InvalidRequest,
    SyncGenerationClient,
    turn,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

START_SECONDS = 30
ADDRESS = re.compile(r"[^\s:]+:\d{1,5}")


def ready(address: str, seconds: float, process: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Whether the service answers health checks with SERVING within the time.

    Ends early when the process that should serve there has ended.
    """
    deadline = time.monotonic() + seconds
    with grpc.insecure_channel(address, CHANNEL_OPTIONS) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while (left := deadline - time.monotonic()) > 0:
            if process is not None and process.poll() is not None:
                return False
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=left)
            except grpc.RpcError:
                answer = None
            if answer and answer.status == health_pb2.HealthCheckResponse.SERVING:
                return True
            time.sleep(min(0.05, left))
    return False


@contextmanager
def service(address: str) -> Iterator[None]:
    """Make sure that something serves at the address inside the block."""
    if ready(address, 0.3):
        yield
        return
    host, _, port = address.rpartition(":")
    environment = {"LOG_LEVEL": "error", **os.environ, "METRICS_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.generation"],
        env={**environment, "GRPC_HOST": host, "GRPC_PORT": port},
    )
    try:
        if not ready(address, START_SECONDS, process):
            typer.echo(f"error: no service started at {address}", err=True)
            raise typer.Exit(process.poll() or 1)
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
    options: dict[str, Any] = {} if seed is None else {"seed": seed}
    with service(address), SyncGenerationClient(address) as client:
        try:
            response = client.generate(bot, [turn(text)], chat_key="ask", **options)
        except (BotUnavailable, InvalidRequest) as error:
            typer.echo(f"error: {error.text}", err=True)
            raise typer.Exit(2) from None
        except GenerationError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        for message in response.candidates[0].messages or ("(it says nothing)",):
            typer.echo(message)


if __name__ == "__main__":
    app()
