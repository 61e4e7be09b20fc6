"""Settings of the generation service."""

from pathlib import Path

from pydantic import Field

from contracts.settings import Settings


class GenerationSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    bots_dir          folder of the bot files: `<name>.yaml` or `<name>/bot.yaml`
    state_dir         folder that keeps how often the service died over a version: one that is too
                      large for the memory is refused for a while after two deaths; without the
                      folder it is tried again at each start
    grpc_host         address to listen on for gRPC and metrics
    grpc_port         0 takes a free port
    metrics_port      port of `/metrics`; 0 takes a free one
    poll_seconds      seconds between two looks at the volumes for new bots and versions
    kv_cache_tokens   tokens of prompts and replies whose attention a version keeps: 22 kB each for
                      ruGPT3Small, allocated as they are used. A reply starts when its prompt and
                      its longest text fit, so too few tokens mean fewer than MAX_BATCH replies at
                      once
    max_requests      most requests that wait or run, of all bots together; another one gets
                      RESOURCE_EXHAUSTED, and so does a chat with half as many waiting
    max_batch         most replies computed at once, of all bots together; other requests wait,
                      the chats in turn
    threads           threads of the engine; 0 is all cores
    drain_seconds     seconds in which work in hand may finish after SIGTERM
    """

    bots_dir: Path = Path("k8s/bots")
    models_dir: Path = Path("var/models")
    state_dir: Path | None = None
    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    poll_seconds: float = Field(default=1.0, gt=0.0)
    kv_cache_tokens: int = Field(default=16_384, ge=4_096, le=1_048_576)
    max_requests: int = Field(default=128, ge=1, le=4096)
    max_batch: int = Field(default=32, ge=4, le=256)
    threads: int = Field(default=0, ge=0, le=256)
    drain_seconds: float = Field(default=20.0, ge=0.0)
