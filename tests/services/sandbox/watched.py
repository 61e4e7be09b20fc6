"""The sandbox with what tests need besides: faults, and a record of what bots did."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiogram.types import Message, User
from aiohttp import web

from services.sandbox.bot_routes import BotRoutes, parameters, success
from services.sandbox.errors import ApiError
from services.sandbox.messages import Event, view
from services.sandbox.messenger import Messenger
from services.sandbox.rooms import Draft, Room
from tests.services.sandbox.faults import Call, Fault, Faults


class WatchedMessenger(Messenger):
    """Keeps what bots did.

    `on_call` gets each call of a bot as it arrives.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults = Faults()
        self.sent: list[Event] = []
        self.answered: list[Event] = []
        self.on_call: Callable[[Call], None] = lambda _: None

    def post(self, room: Room, author: User, draft: Draft) -> Message:
        message = super().post(room, author, draft)
        if author.is_bot:
            [bot] = (each.name for each in room.bots if each.user == author)
            sent = {"bot": bot, "chat": room.chat.id, **view(room.key, message)}
            self.sent.append({**sent, "at": self._clock()})
        return message

    def _publish(self, event: Event) -> None:
        super()._publish(event)
        if event["type"] == "answered":
            self.answered.append({key: value for key, value in event.items() if key != "type"})


class FaultyRoutes(BotRoutes):
    """The Bot API over HTTP, with the faults that are switched on."""

    def __init__(self, messenger: WatchedMessenger) -> None:
        super().__init__(messenger)
        self._messenger = messenger

    async def answer(self, request: web.Request) -> web.Response:
        token, method = request.match_info["token"], request.match_info["method"]
        bot = self._api.bot(token)
        self._api.check_known(method)
        call = Call(method, bot, await parameters(request))
        self._messenger.on_call(call)
        fault = self._messenger.faults.take(call)
        if fault and not fault.after and (answer := await self._strike(fault, request)):
            return answer
        result = await self._api.call(bot, method, call.parameters)
        call.took_effect = True
        if fault and fault.after and (answer := await self._strike(fault, request)):
            return answer
        return success(result)

    async def _strike(self, fault: Fault, request: web.Request) -> web.Response | None:
        """Return what is answered in place of the true answer; None: the true one is."""
        if fault.kind == "drop":
            if request.transport:
                request.transport.abort()
            return web.Response()  # which reaches nobody
        if fault.kind == "error":
            return fault.error()
        if fault.kind == "result":
            return success(fault.result)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._messenger.closed.wait(), fault.seconds)
        if fault.kind == "hold":
            raise ApiError(504, "Gateway Timeout")
        return None
