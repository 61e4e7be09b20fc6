"""`python -m services.sandbox`: the process of the stand-in for Telegram."""

import asyncio
import gc
import signal

from contracts.refusal import Refusal, end_process
from contracts.settings import answer_help, from_environment
from services.sandbox.settings import SandboxSettings
from telemetry.logs import LogSettings, configure


async def main(settings: SandboxSettings) -> None:
    # Telegram's types take seconds to import: bad settings are refused before
    from services.sandbox.server import serve

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop)
    gc.freeze()  # the collector need not walk those types once more before the process ends


if __name__ == "__main__":
    answer_help(
        "services.sandbox",
        "Stand in for Telegram, with a page to talk on, until SIGTERM or Ctrl-C.",
        *(SandboxSettings, LogSettings),
    )
    try:
        configure(from_environment(LogSettings), "sandbox")
        asyncio.run(main(from_environment(SandboxSettings)))
    except Refusal as refusal:
        end_process(refusal)
