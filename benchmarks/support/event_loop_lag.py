"""The generation service with a probe of its event loop's lag.

A process of benchmarks.generation: writes the lags, in seconds, to LAG_FILE when it ends.
"""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from contracts.settings import from_environment
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from telemetry.logs import LogSettings, configure

PAUSE = 0.005


async def probe(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + PAUSE
        await asyncio.sleep(PAUSE)
        lags.append(max(0.0, time.perf_counter() - due))


async def run(lags: list[float]) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    probing = asyncio.create_task(probe(lags))
    await serve(from_environment(GenerationSettings), stop)
    probing.cancel()


if __name__ == "__main__":
    configure(from_environment(LogSettings), "generation")
    lags: list[float] = []
    asyncio.run(run(lags))
    Path(os.environ["LAG_FILE"]).write_text(json.dumps(lags))
