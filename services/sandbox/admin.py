"""`/admin`: what tests ask for and see: faults, who is blocked, what the bots sent."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from contracts.refusal import parse
from services.sandbox.exchange import Exchange
from services.sandbox.faults import Fault


class Switch(BaseModel):
    """`{"on": {fault}}`, `{"off": id}` or `{"off": "all"}`."""

    model_config = ConfigDict(extra="forbid")

    on: Fault | None = None
    off: int | Literal["all"] | None = None


class Membership(BaseModel):
    """`chat` is `group`, or the bot's name for the private chat; `person` is who does it."""

    model_config = ConfigDict(extra="forbid")

    bot: str
    chat: str
    person: int | str
    expelled: bool


class AdminRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [
            Route("/admin/faults", self._faults, methods=["GET"]),
            Route("/admin/faults", self._switch, methods=["POST"]),
            Route("/admin/members", self._members, methods=["POST"]),
            Route("/admin/log", self._log, methods=["GET"]),
        ]

    async def _faults(self, _: Request) -> JSONResponse:
        return JSONResponse({"faults": self._exchange.faults.listed()})

    async def _switch(self, request: Request) -> JSONResponse:
        switch = parse(Switch, await request.json(), "faults")
        faults, answer = self._exchange.faults, {}
        if switch.off is not None:
            faults.off(None if switch.off == "all" else switch.off)
        if switch.on:
            answer["id"] = faults.on(switch.on)
        return JSONResponse({**answer, "faults": faults.listed()})

    async def _members(self, request: Request) -> JSONResponse:
        asked = parse(Membership, await request.json(), "members")
        world = self._exchange.world
        person, bot = world.person(asked.person), world.bot(asked.bot)
        room = world.room_of_person(asked.chat, person)
        self._exchange.expel(room, bot, person, asked.expelled)
        return JSONResponse({"room": room.key, "expelled": sorted(room.expelled)})

    async def _log(self, _: Request) -> JSONResponse:
        """Messages sent, in order, and the bots whose long poll waits now."""
        world, queues = self._exchange.world, self._exchange.queues
        polling = [bot.name for bot in world.bots.values() if queues[bot.token].polled]
        return JSONResponse({"sent": self._exchange.sent, "polling": polling})
