"""`python -m services.generation.ask`: one question to a bot, asked of the service that runs."""

import asyncio
from typing import Annotated

import grpc
import typer

from contracts.sampling import CANDIDATES
from protos.generation.v1 import generation_pb2 as pb
from services.generation import client
from telemetry.command_line import CommandLine

app = CommandLine()


@app.command()
def main(
    bot: Annotated[str, typer.Option(help="The bot's name, e.g. avtobus.")],
    text: Annotated[str, typer.Option(help="What to say to it.")],
    address: Annotated[str, typer.Option(envvar="GENERATION_ADDRESS")] = client.DEFAULT_ADDRESS,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes the answer repeatable.")] = None,
) -> None:
    """Print a bot's answer, a message a line."""

    async def ask() -> pb.GenerateResponse:
        async with client.GenerationClient(address) as generation:
            return await generation.generate(
                bot, [client.turn(text)], chat_key="ask", seed=seed, candidates=CANDIDATES
            )

    try:
        response = asyncio.run(ask())
    except (client.BotUnavailable, client.InvalidRequest) as refusal:
        typer.echo(f"error: {refusal.text}", err=True)
        raise typer.Exit(2) from None
    except client.GenerationError as error:
        is_away = error.code is grpc.StatusCode.UNAVAILABLE
        hint = f"; does a service run at {address}? `make demo` starts one" if is_away else ""
        typer.echo(f"error: {error}{hint}", err=True)
        raise typer.Exit(1) from None
    drawn = (each.messages for each in response.candidates if each.messages)
    for message in next(drawn, ("(it says nothing)",)):
        typer.echo(message)


if __name__ == "__main__":
    app()
