"""Builds the service out of its parts; `serve` runs it until it is told to stop."""

import asyncio
from wsgiref.simple_server import WSGIServer

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

from contracts.clock import Clock
from contracts.refusal import Refusal
from protos.generation.v1 import generation_pb2_grpc as pb_grpc
from services.generation.admission import AdmissionQueue
from services.generation.deaths import Deaths
from services.generation.engine.engine import Engine
from services.generation.engine.protocol import EngineOptions
from services.generation.metrics import Metrics
from services.generation.model_store import ModelStore
from services.generation.served_versions import Versions
from services.generation.servicer import MAX_RECEIVED_BYTES, SERVICE, GenerationServicer, Parser
from services.generation.settings import GenerationSettings
from telemetry.logs import logger
from telemetry.volume_usage import watch_volumes

LIVENESS = "generation.v1.Liveness"
"""Health of the process alone: a load or a restart of the engine is no reason to kill it."""
HEALTH_SECONDS = 0.25
SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_RECEIVED_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a silent half
    # clients resolve the name anew when a connection ends, and so find a further replica
    ("grpc.max_connection_age_ms", 60_000),
    # the client pings more often than the five minutes that are allowed by default
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
_HEALTH = health_pb2.HealthCheckResponse


async def serve(
    settings: GenerationSettings,
    stop: asyncio.Event,
    started: "asyncio.Future[tuple[int, int]] | None" = None,
    registry: CollectorRegistry = REGISTRY,
) -> None:
    """Serve until `stop` is set, then let requests under way end within drain_seconds.

    `started` gets the ports of gRPC and of the metrics.
    """
    clock, metrics = Clock(), Metrics(registry)
    watch_volumes("generation", {"models": settings.models_dir}, registry)
    options = EngineOptions(settings.kv_cache_tokens, settings.max_batch, settings.threads)
    engine = Engine(options, clock, metrics.stepped, metrics.engine_died)
    store = ModelStore(settings.bots_dir, settings.models_dir)
    versions = Versions(store, engine, metrics, clock, Deaths(settings.state_dir))
    queue = AdmissionQueue(settings.max_batch, settings.max_requests, clock)
    metrics.waiting.set_function(lambda: queue.waiting)
    metrics.running.set_function(lambda: queue.running)
    statuses = health.aio.HealthServicer()
    server = _build_server(GenerationServicer(engine, versions, metrics, queue, clock), statuses)
    grpc_port = _listen(server, settings)
    exposed = _expose(settings, registry)

    async def announce() -> None:
        await versions.has_looked.wait()
        logger().info("serving", grpc_port=grpc_port, metrics_port=exposed.server_port)
        if started:
            started.set_result((grpc_port, exposed.server_port))

    try:
        await statuses.set("", _HEALTH.NOT_SERVING)  # the library begins with SERVING
        await statuses.set(LIVENESS, _HEALTH.SERVING)
        await server.start()
        if not settings.models_dir.is_dir():
            logger().warning(
                "MODELS_DIR does not exist; nothing is published yet", path=str(settings.models_dir)
            )
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(engine.run(versions.restore)),
                group.create_task(versions.follow(settings.poll_seconds)),
                group.create_task(_report_health(statuses, engine, versions, clock)),
                group.create_task(announce()),
            ]
            await stop.wait()
            await statuses.enter_graceful_shutdown()
            for task in tasks:
                task.cancel()
    finally:
        await server.stop(settings.drain_seconds)
        await engine.close()
        exposed.shutdown()
        exposed.server_close()
        logger().info("stopped")


def _build_server(
    servicer: GenerationServicer, statuses: health.aio.HealthServicer
) -> grpc.aio.Server:
    server = grpc.aio.server(interceptors=[Parser()], options=SERVER_OPTIONS)
    pb_grpc.add_GenerationServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(statuses, server)
    names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    return server


def _listen(server: grpc.aio.Server, settings: GenerationSettings) -> int:
    address = f"{settings.grpc_host}:{settings.grpc_port}"
    try:
        return server.add_insecure_port(address)
    except RuntimeError:
        why = "is the port taken, or the host not ours?"
        raise Refusal(f"GRPC_PORT: cannot listen on {address}; {why}") from None


def _expose(settings: GenerationSettings, registry: CollectorRegistry) -> WSGIServer:
    try:
        server, _ = start_http_server(settings.metrics_port, settings.grpc_host, registry)
    except OSError as error:
        where = f"{settings.grpc_host}:{settings.metrics_port}"
        raise Refusal(f"METRICS_PORT: cannot listen on {where} ({error.strerror})") from None
    return server


async def _report_health(
    statuses: health.aio.HealthServicer, engine: Engine, versions: Versions, clock: Clock
) -> None:
    """Keep the health of each bot (a version of it answers) and of the service up to date.

    The service is healthy while any bot is, or while the engine is up and nothing is published.
    """
    known: set[str] = set()
    await versions.has_looked.wait()
    while True:
        serving = versions.serving()
        gone = dict.fromkeys(known - serving.keys(), False)
        ready = any(serving.values()) or (engine.is_up.is_set() and versions.is_idle)
        for name, serves in {"": ready, SERVICE: ready, **serving, **gone}.items():
            await statuses.set(name, _HEALTH.SERVING if serves else _HEALTH.NOT_SERVING)
        known |= serving.keys()
        await clock.sleep(HEALTH_SECONDS)
