"""`python -m services.generation`: the process of the generation service."""

import argparse
import asyncio
import signal

from contracts.refusal import Refusal, end_process
from contracts.settings import from_environment
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from telemetry.logs import LogSettings, configure


async def main(settings: GenerationSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


if __name__ == "__main__":
    argparse.ArgumentParser(
        "python -m services.generation",
        description="Serve every published bot over gRPC, until SIGTERM or Ctrl-C.",
        epilog="Set up by environment variables: docs/settings.md lists them.",
    ).parse_args()
    try:
        configure(from_environment(LogSettings), "generation")
        asyncio.run(main(from_environment(GenerationSettings)))
    except Refusal as refusal:
        end_process(refusal)
