"""Parameters of a Bot API call: query, JSON, form or multipart body, brought to one shape.

A file in a multipart body is passed over: no method here takes one.
"""

import json
from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from services.sandbox.errors import bad_request

_NESTED = frozenset(
    {
        "allowed_updates",
        "commands",
        "entities",
        "link_preview_options",
        "reply_markup",
        "reply_parameters",
        "scope",
    }
)


async def parameters(request: Request) -> dict[str, Any]:
    """All parameters; what a form carries as JSON text is unpacked."""
    body, kind = await request.body(), request.headers.get("content-type", "")
    try:
        found = {**request.query_params, **_decoded(body, kind)}
        return {name: _plain(name, value) for name, value in found.items()}
    except ValueError:
        raise bad_request("can't parse request") from None


def _decoded(body: bytes, kind: str) -> dict[str, Any]:
    if kind.startswith("application/json"):
        found = json.loads(body or b"{}")
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found
    if kind.startswith("multipart/form-data"):
        return _multipart(body, kind)
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def _multipart(body: bytes, kind: str) -> dict[str, Any]:
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=policy.HTTP)
    found: dict[str, Any] = {}
    for part in whole.iter_parts():
        name, content = (
            part.get_param("name", header="content-disposition"),
            part.get_payload(decode=True),
        )
        if isinstance(name, str) and isinstance(content, bytes) and not part.get_filename():
            found[name] = content.decode()
    return found


def _plain(name: str, value: Any) -> Any:
    if name in _NESTED and isinstance(value, str):
        return json.loads(value)
    if name == "chat_id" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    return value
