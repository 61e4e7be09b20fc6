"""`/admin`: what tests ask for and see: how the group is, what fails, what the bots sent.

GET, POST /admin/faults      see `Switch`
POST /admin/flood            {"on": true}: limits on sending as Telegram's
POST /admin/members          see `Membership`
POST /admin/administrators   {"person": id or name, "on": true}: promoted in the group
POST /admin/topics           see `Topics`
POST /admin/migrate          {}: the group gets a new id, which is answered
GET /admin/log               see `_log`
"""

from typing import Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

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


class Flooding(BaseModel):
    model_config = ConfigDict(extra="forbid")

    on: bool


class Promotion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person: int | str
    on: bool


class Topics(BaseModel):
    """`{"open": id, "name": title}`, `{"delete": id}`; the id is that of the first message."""

    model_config = ConfigDict(extra="forbid")

    open: int | None = Field(default=None, ge=1)
    name: str = Field(default="", max_length=128)
    delete: int | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.open is not None and not self.name:
            raise ValueError("a topic wants a name")
        return self


class AdminRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/admin/faults", self._faults),
            web.post("/admin/faults", self._switch),
            web.post("/admin/flood", self._flood),
            web.post("/admin/members", self._members),
            web.post("/admin/administrators", self._administrators),
            web.post("/admin/topics", self._topics),
            web.post("/admin/migrate", self._migrate),
            web.get("/admin/log", self._log),
        ]

    async def _faults(self, _: web.Request) -> web.Response:
        return web.json_response({"faults": self._exchange.faults.listed()})

    async def _switch(self, request: web.Request) -> web.Response:
        switch = parse(Switch, await request.json(), "faults")
        faults, answer = self._exchange.faults, {}
        if switch.off is not None:
            faults.off(None if switch.off == "all" else switch.off)
        if switch.on:
            answer["id"] = faults.on(switch.on)
        return web.json_response({**answer, "faults": faults.listed()})

    async def _flood(self, request: web.Request) -> web.Response:
        asked = parse(Flooding, await request.json(), "flood")
        self._exchange.flood.switch(asked.on)
        return web.json_response({"on": asked.on})

    async def _members(self, request: web.Request) -> web.Response:
        asked = parse(Membership, await request.json(), "members")
        world = self._exchange.world
        person, bot = world.person(asked.person), world.bot(asked.bot)
        room = world.room_of_person(asked.chat, person)
        self._exchange.expel(room, bot, person, asked.expelled)
        return web.json_response({"room": room.key, "expelled": sorted(room.expelled)})

    async def _administrators(self, request: web.Request) -> web.Response:
        asked = parse(Promotion, await request.json(), "administrators")
        world = self._exchange.world
        self._exchange.promote(world.person(asked.person), asked.on)
        return web.json_response({"administrators": sorted(world.group.administrators)})

    async def _topics(self, request: web.Request) -> web.Response:
        asked = parse(Topics, await request.json(), "topics")
        if asked.open is not None:
            self._exchange.open_topic(asked.open, asked.name)
        if asked.delete is not None:
            self._exchange.delete_topic(asked.delete)
        return web.json_response({"threads": sorted(self._exchange.world.group.threads)})

    async def _migrate(self, _: web.Request) -> web.Response:
        return web.json_response({"chat": self._exchange.migrate().chat.id})

    async def _log(self, _: web.Request) -> web.Response:
        """Fields of the answer:

        sent       messages of bots, in order
        answered   answers to presses: {room, bot, person, query, text, alert}
        flooded    how many messages were refused for flood
        polling    bots whose long poll waits now
        """
        exchange = self._exchange
        bots = exchange.world.bots.values()
        return web.json_response(
            {
                "sent": exchange.sent,
                "answered": exchange.answered,
                "flooded": exchange.flood.refused,
                "polling": [bot.name for bot in bots if exchange.queues[bot.token].polled],
            }
        )
