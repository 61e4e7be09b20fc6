"""`python -m services.generation`: the process of the generation service."""

import asyncio
import signal

import typer

from contracts.refusal import Refusal, end_process
from contracts.settings import environment_help, from_environment
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from telemetry.logs import LogSettings, configure

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


async def run(settings: GenerationSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


@app.command(epilog=environment_help(GenerationSettings, LogSettings))
def main() -> None:
    """Serve every published bot over gRPC, until SIGTERM or Ctrl-C."""
    try:
        configure(from_environment(LogSettings), "generation")
        asyncio.run(run(from_environment(GenerationSettings)))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app(prog_name="python -m services.generation")
