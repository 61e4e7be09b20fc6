"""A stand-in for the Pushgateway."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

from prometheus_client.parser import text_string_to_metric_families


@dataclass
class Pushgateway:
    """It keeps what was pushed: (method, path, values by name)."""

    url: str
    status: int = 202
    pushed: list[tuple[str, str, dict[str, float]]] = field(default_factory=list)


def values(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


@contextmanager
def pushgateway() -> Iterator[Pushgateway]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            stand_in.pushed.append((self.command, self.path, values(body)))
            self.send_response(stand_in.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        stand_in = Pushgateway(f"http://127.0.0.1:{server.server_port}")
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield stand_in
        server.shutdown()
        serving.join()
