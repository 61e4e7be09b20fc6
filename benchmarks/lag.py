"""The service with a probe in its event loop: writes the lags it saw, in seconds, to LAG_FILE."""

import asyncio
import json
import os
import time
from pathlib import Path

from contracts.settings import from_environment
from services.generation.__main__ import main
from services.generation.settings import GenerationSettings
from telemetry.logs import LogSettings, configure

PAUSE = 0.005


async def probe(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + PAUSE
        await asyncio.sleep(PAUSE)
        lags.append(max(0.0, time.perf_counter() - due))


async def watched(lags: list[float]) -> None:
    probing = asyncio.create_task(probe(lags))
    try:
        await main(from_environment(GenerationSettings))
    finally:
        probing.cancel()


if __name__ == "__main__":
    configure(from_environment(LogSettings), "generation")
    seen: list[float] = []
    asyncio.run(watched(seen))
    Path(os.environ["LAG_FILE"]).write_text(json.dumps(seen))
