"""`python -m services.generation`: the process of the generation service."""

from services.generation.moderate import moderate
from services.generation.server import serve
from services.generation.settings import GenerationSettings
from telemetry.service import service_app

ABOUT = "Serve every published bot over gRPC, until SIGTERM or Ctrl-C."
app = service_app("generation", ABOUT, GenerationSettings, serve, moderate)

if __name__ == "__main__":
    app(prog_name="python -m services.generation")
