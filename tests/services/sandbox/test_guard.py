"""What a foreign web page in the same browser may do to the sandbox: nothing, on any route."""

import asyncio
import time
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import make_mocked_request

from services.sandbox.bot_routes import BotRoutes
from services.sandbox.guard import MAX_BODY, is_local
from services.sandbox.messenger import Messenger
from services.sandbox.server import account, application
from services.sandbox.world import World
from tests.conftest import PATIENCE
from tests.services.sandbox.conftest import TOKENS, Sandbox, running, sandbox_settings

OWN = {"Host": "localhost", "Content-Type": "application/json"}


def routes() -> Iterator[tuple[str, str]]:
    """Each route of the sandbox: its method and a path."""
    bots = [account(name, token) for name, token in TOKENS.items()]
    messenger = Messenger(World(bots), time.time)
    for route in application(messenger, BotRoutes(messenger), sandbox_settings()).router.routes():
        path = route.resource.canonical if route.resource else ""
        yield route.method.replace("*", "POST"), path + "/app.js" * (path == "/static")


ROUTES = sorted(routes())


async def status(
    sandbox: Sandbox, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> int:
    """The answer to a request as it stands, even if its body is not there yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sandbox.url).port)
    path = path.format(token=TOKENS["avtobus"], method="getMe")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    async with asyncio.timeout(PATIENCE):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example:8081"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Content-Type": "text/plain", "Content-Length": "2"}, 415),
        ({"Content-Length": "60000000"}, 413),
    ],
)
async def test_no_route_answers_a_foreign_page(
    untouched: Sandbox, headers: dict[str, str], expected: int
) -> None:
    answers = {each: await status(untouched, *each, OWN | headers) for each in ROUTES}
    assert answers == dict.fromkeys(ROUTES, expected)


async def test_a_body_without_an_end_is_read_up_to_the_bound(untouched: Sandbox) -> None:
    chunk = b"%x\r\n%s\r\n" % (MAX_BODY + 1, b" " * (MAX_BODY + 1))
    for method, path in ROUTES:
        if method == "POST":
            form = {"Content-Type": "application/x-www-form-urlencoded"} if "/bot" in path else {}
            headers = OWN | form | {"Transfer-Encoding": "chunked"}
            assert await status(untouched, method, path, headers, chunk) == 413, path


@pytest.mark.parametrize("host", ["localhost:8081", "127.0.0.1", "[::1]:8081", "Sandbox:8081"])
async def test_its_own_page_is_answered_under_each_of_its_names(host: str) -> None:
    async with running(sandbox_allowed_hosts="sandbox") as sandbox:
        own = OWN | {"Host": host, "Origin": f"http://{host}"}
        assert await status(sandbox, "GET", "/api/state", own) == 200
        written = b'{"chat": "avtobus", "person": "\xd0\x90\xd0\xbd\xd1\x8f", "text": "a"}'
        own["Content-Length"] = str(len(written))
        assert await status(sandbox, "POST", "/api/messages", own, written) == 201


async def test_other_machines_want_a_password_for_the_page_and_a_token_for_the_bot_api() -> None:
    right, wrong = (
        f"Basic {b64encode(f'я:{word}'.encode()).decode()}" for word in ("тайна", "другая")
    )
    other = OWN | {"X-Forwarded-For": "10.0.0.9"}
    for password, authorization, expected in (
        ("", right, 403),
        ("тайна", None, 401),
        ("тайна", "Basic ?", 401),
        ("тайна", wrong, 401),
        ("тайна", right, 200),
    ):
        async with running(sandbox_password=password) as sandbox:
            given = other | ({"Authorization": authorization} if authorization else {})
            for path in ("/", "/api/state", "/events", "/static/app.js"):
                assert await status(sandbox, "GET", path, given) == expected, (password, path)
            assert await status(sandbox, "GET", "/api/state", OWN) == 200
            form = {"Content-Type": "multipart/form-data"}
            for path in ("/bot{token}/{method}", "/healthz"):
                assert await status(sandbox, "GET", path, other | form) == 200


@pytest.mark.parametrize(
    ("remote", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("10.0.0.9", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.9"}, False),
    ],
)
def test_what_a_proxy_passes_on_is_not_local(
    remote: str, headers: dict[str, str], expected: bool
) -> None:
    request = make_mocked_request("GET", "/", headers=headers)
    assert is_local(request.clone(remote=remote)) == expected
