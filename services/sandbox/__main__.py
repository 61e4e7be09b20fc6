"""`python -m services.sandbox`: the process of the stand-in for Telegram."""

import asyncio
import gc

from services.sandbox.settings import SandboxSettings
from telemetry.service import service_app


async def run(settings: SandboxSettings, stop: asyncio.Event) -> None:
    # Telegram's types take seconds to import: bad settings are refused before
    from services.sandbox.server import serving

    async with serving(settings):
        await stop.wait()
    gc.freeze()  # the collector need not walk those types once more before the process ends


ABOUT = "Stand in for Telegram, with a page to talk on, until SIGTERM or Ctrl-C."
app = service_app("sandbox", ABOUT, SandboxSettings, run)

if __name__ == "__main__":
    app(prog_name="python -m services.sandbox")
