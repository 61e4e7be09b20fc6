"""`python -m services.generation`: the process of the generation service."""

import asyncio
import signal

from contracts.refusal import Refusal, end_process
from contracts.settings import answer_help, from_environment
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from telemetry.logs import LogSettings, configure


async def main(settings: GenerationSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)


if __name__ == "__main__":
    answer_help(
        "services.generation",
        "Serve every published bot over gRPC, until SIGTERM or Ctrl-C.",
        *(GenerationSettings, LogSettings),
    )
    try:
        configure(from_environment(LogSettings), "generation")
        asyncio.run(main(from_environment(GenerationSettings)))
    except Refusal as refusal:
        end_process(refusal)
