"""`/bot<token>/<method>`: the Bot API over HTTP, with the faults that are switched on."""

import asyncio
from contextlib import suppress
from typing import Any

from aiogram.types import TelegramObject
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.sandbox.bot_api import BotApi
from services.sandbox.errors import Refused, conflict, too_many
from services.sandbox.exchange import Exchange
from services.sandbox.faults import Call, Fault
from services.sandbox.parameters import parameters


class Dropped(Response):
    """Begins an answer and breaks off: the server then closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class BotRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._api = BotApi(exchange)

    def routes(self) -> list[Route]:
        return [Route("/bot{token}/{method}", self._answer, methods=["GET", "POST"])]

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._call(request)
        except Refused as refused:
            return JSONResponse(refused.payload(), refused.code)

    async def _call(self, request: Request) -> Response:
        token, method = request.path_params["token"], request.path_params["method"]
        bot = self._api.bot(token)
        self._api.known(method)
        params = await parameters(request)
        fault = self._exchange.faults.take(Call(method, bot.name, token, params.get("chat_id")))
        if fault and not fault.after and (answer := await self._strike(fault)):
            return answer
        result = await self._api.call(bot, method, params)
        if fault and fault.after and (answer := await self._strike(fault)):
            return answer
        return JSONResponse({"ok": True, "result": dumped(result)})

    async def _strike(self, fault: Fault) -> Response | None:
        """What is answered in place of the true answer; None if that is given after all."""
        if fault.kind == "drop":
            return Dropped()
        if fault.kind == "retry_after":
            raise too_many(fault.retry_after)
        if fault.kind == "conflict":
            raise conflict()
        if fault.kind == "server_error":
            raise Refused(500, "Internal Server Error")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._exchange.closed.wait(), fault.seconds)
        if fault.kind == "hold":
            raise Refused(504, "Gateway Timeout")
        return None


def dumped(result: object) -> Any:
    """As Telegram writes it: absent fields are left out, dates are unix time."""
    if isinstance(result, list):
        return [dumped(item) for item in result]
    if isinstance(result, TelegramObject):
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return result
