"""`/bot<token>/<method>`: the Bot API over HTTP.

Parameters come in the query, a form or a multipart body. A file in a multipart body is ignored: no
method here takes one.
"""

import json
from typing import Any

from aiogram.types import TelegramObject
from aiohttp import web

from services.sandbox.bot_api import BotMethods
from services.sandbox.errors import bad_request
from services.sandbox.messenger import Messenger
from services.sandbox.update_queue import dump


class BotRoutes:
    def __init__(self, messenger: Messenger) -> None:
        self._api = BotMethods(messenger)

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/bot{token}/{method}", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        token, method = request.match_info["token"], request.match_info["method"]
        bot = self._api.bot(token)
        self._api.check_known(method)
        return success(await self._api.call(bot, method, await parameters(request)))


async def parameters(request: web.Request) -> dict[str, Any]:
    """Return all parameters; what is JSON text is unpacked."""
    fields = {**request.query, **await request.post()}
    try:
        return {name: _unpack(name, each) for name, each in fields.items() if isinstance(each, str)}
    except ValueError:
        raise bad_request("can't parse request") from None


def _unpack(name: str, value: str) -> Any:
    if name == "text":
        return value
    if name == "chat_id" and value.lstrip("-").isdigit():
        return int(value)
    return json.loads(value) if value.startswith(("[", "{")) else value


def success(result: object) -> web.Response:
    if isinstance(result, TelegramObject):
        result = dump(result)
    return web.json_response({"ok": True, "result": result})
