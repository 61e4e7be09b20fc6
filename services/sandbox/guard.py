"""Who may call the sandbox: programs and its own page, but no other page in a browser.

Of each request it checks, before any route does:

- the name by which it is called: a foreign name may have been made to point here (DNS rebinding);
- the origin that a browser sends along;
- the size and the type of the body: a page may send text and forms to any address, but not JSON.
  The Bot API takes forms; its tokens keep pages out.
"""

import re

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.sandbox.errors import ApiError

MAX_BODY = 2**20
"""Bytes of the largest body, of which a bot's longest message is a fraction."""
_PORT = re.compile(r":\d+$")
_JSON = {"application/json"}
_FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def guard(hosts: frozenset[str]) -> Middleware:
    """Make a middleware that refuses what is not called by one of these names."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _PORT.sub("", request.host.lower()).strip("[]") not in hosts:
            raise ApiError(403, "unknown Host: SANDBOX_ALLOWED_HOSTS names those that are served")
        if request.headers.get("Origin", f"://{request.host}").partition("://")[2] != request.host:
            raise ApiError(403, "foreign Origin")
        if (request.content_length or 0) > MAX_BODY:
            raise ApiError(413, f"a body has at most {MAX_BODY} bytes")
        wanted = _FORMS if request.path.startswith("/bot") else _JSON
        if request.can_read_body and request.content_type not in wanted:
            raise ApiError(415, f"a body is {' or '.join(sorted(wanted))}")
        return await handler(request)

    return check
