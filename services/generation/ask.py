"""`python -m services.generation.ask`: one question to a bot, from the command line.

Asks the running service; where none runs, starts one for the question and ends it afterwards.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import grpc
import typer

from services.generation.client import (
    DEFAULT_ADDRESS,
    BotUnavailable,
    GenerationError,
    SyncGenerationClient,
    turn,
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

START_SECONDS = 30


def reachable(address: str, seconds: float) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
        except grpc.FutureTimeoutError:
            return False
    return True


@contextmanager
def service(address: str) -> Iterator[None]:
    """Make sure that something serves at the address inside the block."""
    if reachable(address, 0.5):
        yield
        return
    host, _, port = address.rpartition(":")
    environment = {"LOG_LEVEL": "error", **os.environ, "METRICS_PORT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "services.generation"],
        env={**environment, "GRPC_HOST": host, "GRPC_PORT": port},
    )
    try:
        if not reachable(address, START_SECONDS):
            raise typer.Exit(1)
        yield
    finally:
        process.terminate()
        process.wait()


@app.command()
def main(
    bot: Annotated[str, typer.Option(help="The bot's name, e.g. avtobus.")],
    text: Annotated[str, typer.Option(help="What to say to it.")],
    address: Annotated[str, typer.Option(envvar="GENERATION_ADDRESS")] = DEFAULT_ADDRESS,
    seed: Annotated[int | None, typer.Option(help="Makes the answer repeatable.")] = None,
) -> None:
    """Print a bot's answer, a message a line."""
    options: dict[str, Any] = {} if seed is None else {"seed": seed}
    with service(address), SyncGenerationClient(address) as client:
        try:
            response = client.generate(bot, [turn(text)], chat_key="ask", **options)
        except BotUnavailable as error:
            typer.echo(f"error: {error.text}", err=True)
            raise typer.Exit(2) from None
        except GenerationError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None
        for message in response.candidates[0].messages:
            typer.echo(message)


if __name__ == "__main__":
    app()
