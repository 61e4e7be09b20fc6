"""Settings of the generation service."""

from pathlib import Path

from pydantic import Field

from contracts.settings import Settings


class GenerationSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    grpc_host         address to listen on; loopback unless the deployment says otherwise
    grpc_port         0 takes a free port
    metrics_port      for Prometheus; 0 takes a free port
    poll_seconds      how often the volumes are looked at for new bots and versions
    kv_cache_tokens   size of a version's attention cache in tokens; its memory grows as it is used
    max_requests      most requests that wait or run, of all bots; above it RESOURCE_EXHAUSTED
    max_batch         most replies computed at once, of all bots; further requests wait
    threads           of the engine; 0 is all cores
    drain_seconds     how long requests under way may take after SIGTERM
    """

    bots_dir: Path = Path("k8s/bots")
    models_dir: Path = Path("var/models")
    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    poll_seconds: float = Field(default=1.0, gt=0.0)
    kv_cache_tokens: int = Field(default=16_384, ge=4_096, le=1_048_576)
    max_requests: int = Field(default=128, ge=1, le=4096)
    max_batch: int = Field(default=32, ge=4, le=256)
    threads: int = Field(default=0, ge=0, le=256)
    drain_seconds: float = Field(default=20.0, ge=0.0)
