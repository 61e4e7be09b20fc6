"""Who may call the sandbox: programs and its own page, but no other page in a browser.

Of each request it checks, before any route does:

- the name by which it is called: a foreign name may have been made to point here (DNS rebinding);
- the origin that a browser sends along;
- where it comes from: other machines, and whom a proxy speaks for, want a password for the page;
- the size and the type of the body: a page may send text and forms to any address, but not JSON.
  The Bot API takes forms; its tokens keep pages and strangers out. An export comes as it is, and
  large: its route counts the bytes.
"""

import re
from base64 import b64decode
from ipaddress import ip_address
from secrets import compare_digest

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.sandbox.errors import ApiError

MAX_BODY = 2**20
"""Bytes of the largest body, of which a bot's longest message is a fraction."""
_FOR_ALL = ("/bot", "/healthz")
"""Paths for which other machines need no password."""
_PORT = re.compile(r":\d+$")
_JSON = {"application/json"}
_EXPORT = {"application/octet-stream"}
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def guard(hosts: frozenset[str], password: str = "") -> Middleware:
    """Make a middleware that refuses what is not called by one of these names.

    Without a password the page is for this machine alone.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _PORT.sub("", request.host.lower()).strip("[]") not in hosts:
            raise ApiError(403, "unknown Host: SANDBOX_ALLOWED_HOSTS names those that are served")
        if request.headers.get("Origin", f"://{request.host}").partition("://")[2] != request.host:
            raise ApiError(403, "foreign Origin")
        if not (request.path.startswith(_FOR_ALL) or is_local(request)):
            _check_password(request, password)
        wanted = _FORMS if request.path.startswith("/bot") else _JSON
        if request.method == "PUT" and request.path == "/api/teaching/exports":
            wanted = _EXPORT
        elif (request.content_length or 0) > MAX_BODY:
            raise ApiError(413, f"a body has at most {MAX_BODY} bytes")
        if request.can_read_body and request.content_type not in wanted:
            raise ApiError(415, f"a body is {' or '.join(sorted(wanted))}")
        return await handler(request)

    return check


def is_local(request: web.BaseRequest) -> bool:
    """Whether it comes from this machine, for somebody on this machine."""
    is_passed_on = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For"))
    return not is_passed_on and ip_address(request.remote or "::").is_loopback


def _check_password(request: web.Request, password: str) -> None:
    if not password:
        raise ApiError(403, "the page is for this machine alone: SANDBOX_PASSWORD opens it")
    try:
        given = b64decode(request.headers.get("Authorization", "").removeprefix("Basic "))
    except ValueError:
        given = b""
    if not compare_digest(given.partition(b":")[2], password.encode()):
        asked = {"WWW-Authenticate": 'Basic realm="sandbox", charset="UTF-8"'}
        raise web.HTTPUnauthorized(headers=asked)
