"""`python -m services.sandbox`: the process of the stand-in for Telegram."""

import asyncio

from services.sandbox.settings import SandboxSettings
from telemetry.service import service_app


async def run(settings: SandboxSettings, stop: asyncio.Event) -> None:
    # Telegram's types take long to import: bad settings are refused before
    import services.deferred_aiogram  # noqa: F401
    from services.sandbox.server import serving

    async with serving(settings):
        await stop.wait()


ABOUT = "Stand in for Telegram, with a page to talk on, until SIGTERM or Ctrl-C."
app = service_app("sandbox", ABOUT, SandboxSettings, run)

if __name__ == "__main__":
    app(prog_name="python -m services.sandbox")
