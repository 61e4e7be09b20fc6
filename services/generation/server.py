"""Builds the service out of its parts; `serve` runs it until it is told to end."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

from contracts.refusal import Refusal
from protos.generation.v1 import generation_pb2 as pb
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from services.generation.engine import Engine, EngineDown, Options
from services.generation.line import Line
from services.generation.metrics import Metrics
from services.generation.model_store import ModelStore
from services.generation.parsing import MAX_RECEIVED_BYTES, Parsing
from services.generation.servicer import GenerationServicer
from services.generation.settings import GenerationSettings
from services.generation.versions import Versions
from telemetry.logs import logger
from telemetry.volumes import watch_volumes

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"].full_name
LIVENESS = "generation.v1.Liveness"
"""Health of the process alone: a load or a restart of the engine is no reason to kill it."""
HEALTH_SECONDS = 0.25
SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a silent half
    # clients ask for the addresses anew when a connection ends: a further replica is found
    ("grpc.max_connection_age_ms", 60_000),
    # the client asks more often than the five minutes that are allowed by default
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
_HEALTH = health_pb2.HealthCheckResponse


@dataclass
class Ports:
    """Where the service listens once it runs."""

    grpc: int
    metrics: int


async def serve(
    settings: GenerationSettings,
    stop: asyncio.Event,
    started: "asyncio.Future[Ports] | None" = None,
    options: Options | None = None,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Serve until `stop` is set, then let requests under way end within drain_seconds."""
    metrics = Metrics(registry)
    watch_volumes("generation", {"models": settings.models_dir}, registry)
    loop = asyncio.get_running_loop()
    statuses = health.aio.HealthServicer()
    options = options or Options(settings.kv_cache_tokens, settings.max_batch, settings.threads)
    line = Line(settings.max_batch, settings.max_requests)
    engine = Engine(options, metrics.stepped, metrics.engine_died)
    metrics.waiting.set_function(lambda: line.waiting)
    metrics.running.set_function(lambda: line.running)
    store = ModelStore(settings.bots_dir, settings.models_dir)
    job_id = itertools.count(1).__next__
    versions = Versions(store, engine, metrics, job_id)
    server = grpc.aio.server(interceptors=[Parsing(SERVICE, metrics)], options=SERVER_OPTIONS)
    servicer = GenerationServicer(engine, versions, metrics, line, job_id)
    pb_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(statuses, server)
    reflection.enable_server_reflection(
        [SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )

    grpc_port = _listen(server, settings)
    exposed = _expose(settings, registry)

    def announce() -> None:
        logger().info("serving", grpc_port=grpc_port, metrics_port=exposed.server_port)
        if started:
            started.set_result(Ports(grpc_port, exposed.server_port))

    stopping = loop.create_task(stop.wait())
    serving = loop.create_task(_serve(engine, server, statuses, versions, settings, announce))
    try:
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()  # it ends only by failing: let the process fail with it
    finally:
        await statuses.enter_graceful_shutdown()
        for task in (stopping, serving):
            task.cancel()
        await asyncio.gather(stopping, serving, return_exceptions=True)
        await server.stop(settings.drain_seconds)
        await engine.close()
        exposed.shutdown()
        exposed.server_close()
        logger().info("stopped")


async def _serve(
    engine: Engine,
    server: grpc.aio.Server,
    statuses: health.aio.HealthServicer,
    versions: Versions,
    settings: GenerationSettings,
    announce: Callable[[], None],
) -> None:
    """Start everything, then follow the volume and tell the health for ever.

    Requests that come before the first look at the volume are told to come back.
    """
    await statuses.set("", _HEALTH.NOT_SERVING)  # the library begins with SERVING
    await statuses.set(LIVENESS, _HEALTH.SERVING)
    await server.start()
    with suppress(EngineDown):  # it tries again by itself
        await engine.start()
    if not settings.models_dir.is_dir():
        logger().warning(
            "MODELS_DIR does not exist; nothing is published yet", path=str(settings.models_dir)
        )
    await versions.refresh()
    announce()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(versions.follow(settings.poll_seconds))
        tasks.create_task(_tell_health(statuses, engine, versions))


def _listen(server: grpc.aio.Server, settings: GenerationSettings) -> int:
    address = f"{settings.grpc_host}:{settings.grpc_port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise Refusal(
            f"GRPC_PORT: cannot listen on {address}; is the port taken, or the host not ours?"
        )
    return port


def _expose(settings: GenerationSettings, registry: CollectorRegistry) -> WSGIServer:
    try:
        server, _ = start_http_server(settings.metrics_port, settings.grpc_host, registry)
    except OSError as error:
        where = f"{settings.grpc_host}:{settings.metrics_port}"
        raise Refusal(f"METRICS_PORT: cannot listen on {where} ({error.strerror})") from None
    return server


async def _tell_health(
    statuses: health.aio.HealthServicer, engine: Engine, versions: Versions
) -> None:
    """A bot's health is whether a version of it answers; overall one that does is enough.

    Where nothing has been published an engine that could answer is enough.
    """
    told: set[str] = set()
    while True:
        up = versions.serving()
        gone = dict.fromkeys(told - up.keys(), False)
        ready = any(up.values()) or (engine.alive and versions.idle)
        for name, serves in {"": ready, SERVICE: ready, **up, **gone}.items():
            await statuses.set(name, _HEALTH.SERVING if serves else _HEALTH.NOT_SERVING)
        told |= up.keys()
        await asyncio.sleep(HEALTH_SECONDS)
