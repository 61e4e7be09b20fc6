"""The metrics port's HTTP server: /metrics, /healthz (alive) and /readyz (ready)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from contracts.refusal import Refusal

Probe = Callable[[], bool]


@asynccontextmanager
async def serve_health(
    host: str, port: int, registry: Collector, alive: Probe, ready: Probe
) -> AsyncIterator[int]:
    """Serve inside the block and yield the port; raises Refusal when it is taken."""
    app = web.Application()
    app.router.add_get("/metrics", partial(_tell_metrics, registry))
    app.router.add_get("/healthz", partial(_answer, alive))
    app.router.add_get("/readyz", partial(_answer, ready))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            problem = f"cannot listen on {host}:{port} ({error.strerror})"
            raise Refusal(f"METRICS_PORT: {problem}") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _tell_metrics(registry: Collector, _request: web.Request) -> web.Response:
    headers = {"content-type": CONTENT_TYPE_LATEST}
    return web.Response(body=generate_latest(registry), headers=headers)


async def _answer(probe: Probe, _request: web.Request) -> web.Response:
    return web.Response(text="ok\n") if probe() else web.Response(text="no\n", status=503)
