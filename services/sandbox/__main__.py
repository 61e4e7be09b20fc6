"""`python -m services.sandbox`: the process of the stand-in for Telegram."""

import asyncio
import gc
import signal

import typer

from contracts.refusal import Refusal, end_process
from contracts.settings import environment_help, from_environment
from services.sandbox.settings import SandboxSettings
from telemetry.logs import LogSettings, configure

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


async def run(settings: SandboxSettings) -> None:
    # Telegram's types take seconds to import: bad settings are refused before
    from services.sandbox.server import serving

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings):
        await stop.wait()
    gc.freeze()  # the collector need not walk those types once more before the process ends


@app.command(epilog=environment_help(SandboxSettings, LogSettings))
def main() -> None:
    """Stand in for Telegram, with a page to talk on, until SIGTERM or Ctrl-C."""
    try:
        configure(from_environment(LogSettings), "sandbox")
        asyncio.run(run(from_environment(SandboxSettings)))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    app(prog_name="python -m services.sandbox")
