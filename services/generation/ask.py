"""`python -m services.generation.ask`: one question to a bot, asked of the service that runs."""

import asyncio
import re
from typing import Annotated

import grpc
import typer

from protos.generation.v1 import generation_pb2 as pb
from services.generation.client import (
    DEFAULT_ADDRESS,
    BotUnavailable,
    GenerationClient,
    GenerationError,
    InvalidRequest,
    turn,
)
from telemetry.command_line import CommandLine

app = CommandLine()

ADDRESS = re.compile(r"[^\s:]+:\d{1,5}")


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

    try:
        response = asyncio.run(ask())
    except (BotUnavailable, InvalidRequest) as refusal:
        typer.echo(f"error: {refusal.text}", err=True)
        raise typer.Exit(2) from None
    except GenerationError as error:
        is_away = error.code is grpc.StatusCode.UNAVAILABLE
        hint = f"; does a service run at {address}? `make demo` starts one" if is_away else ""
        typer.echo(f"error: {error}{hint}", err=True)
        raise typer.Exit(1) from None
    for message in response.candidates[0].messages or ("(it says nothing)",):
        typer.echo(message)


if __name__ == "__main__":
    app()
