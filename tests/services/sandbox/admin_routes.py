"""`/admin`: how tests change the group, switch faults on, and see what the bots sent.

POST /admin/faults           see `FaultSwitch`
POST /admin/rate-limit       {"on": true}: limits on sending as Telegram's
POST /admin/members          see `Membership`
POST /admin/administrators   {"person": id or name, "on": true}: promoted in the group
POST /admin/topics           see `Topic`
POST /admin/migrate          {}: the group gets a new id, which is answered
GET /admin/log               see `_log`
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from aiohttp import web
from pydantic import Field

from services.sandbox.messages import Event
from services.sandbox.page_routes import Body, post
from services.sandbox.rate_limit import FloodLimit
from services.sandbox.server import accounts, application, listening
from services.sandbox.settings import SandboxSettings
from services.sandbox.world import World
from tests.services.sandbox.faults import Fault
from tests.services.sandbox.watched import FaultyRoutes, WatchedMessenger


class FaultSwitch(Body):
    """`{"on": {fault}}`, `{"off": id}` or `{"off": "all"}`."""

    on: Fault | None = None
    off: int | Literal["all"] | None = None


class RateLimitSwitch(Body):
    on: bool


class Membership(Body):
    """`chat` is `group`, or the bot's name for the private chat; `person` is who does it."""

    bot: str
    chat: str
    person: int | str
    expelled: bool


class Promotion(Body):
    person: int | str
    on: bool


class Topic(Body):
    """`{"id", "name"}` opens a topic, `{"id"}` deletes it; the id is that of its first message."""

    id: int = Field(ge=1)
    name: str | None = Field(default=None, min_length=1, max_length=128)


class AdminRoutes:
    def __init__(self, messenger: WatchedMessenger) -> None:
        self._messenger = messenger

    def routes(self) -> list[web.RouteDef]:
        return [
            post("/admin/faults", FaultSwitch, self._switch),
            post("/admin/rate-limit", RateLimitSwitch, self._limit),
            post("/admin/members", Membership, self._expel),
            post("/admin/administrators", Promotion, self._promote),
            post("/admin/topics", Topic, self._change_topic),
            post("/admin/migrate", Body, self._migrate),
            web.get("/admin/log", self._log),
        ]

    def _switch(self, body: FaultSwitch) -> Event:
        faults = self._messenger.faults
        if body.off == "all":
            faults.active.clear()
        elif body.off is not None:
            faults.active.pop(body.off, None)
        return {"id": faults.switch_on(body.on) if body.on else None}

    def _limit(self, body: RateLimitSwitch) -> Event:
        self._messenger.rate_limit.switch(body.on)
        return {"on": body.on}

    def _expel(self, body: Membership) -> Event:
        world = self._messenger.world
        person, bot = world.person(body.person), world.bot(body.bot)
        room = world.room_of_person(body.chat, person)
        self._messenger.expel(room, bot, person, body.expelled)
        return {"room": room.key, "expelled": sorted(room.expelled)}

    def _promote(self, body: Promotion) -> Event:
        world = self._messenger.world
        self._messenger.promote(world.person(body.person), body.on)
        return {"administrators": sorted(world.group.administrators)}

    def _change_topic(self, body: Topic) -> Event:
        if body.name:
            self._messenger.open_topic(body.id, body.name)
        else:
            self._messenger.delete_topic(body.id)
        return {"threads": sorted(self._messenger.world.group.threads)}

    def _migrate(self, _: Body) -> Event:
        return {"chat": self._messenger.migrate().chat.id}

    async def _log(self, _: web.Request) -> web.Response:
        """Answer what the bots did, and what is in their way:

        sent           messages of bots, in order
        answered       answers to presses: {room, bot, person, query, text, alert}
        rate_limited   how many messages went over the limits on sending
        polling        bots whose long poll waits now
        faults         the faults that are switched on; `times` is how often each has yet to strike
        """
        messenger = self._messenger
        bots, active = messenger.world.bots.values(), messenger.faults.active
        return web.json_response(
            {
                "sent": messenger.sent,
                "answered": messenger.answered,
                "rate_limited": messenger.rate_limit.refused,
                "faults": [{"id": number, **each.model_dump()} for number, each in active.items()],
                "polling": [bot.name for bot in bots if messenger.queues[bot.token].is_polled],
            }
        )


def watched_application(messenger: WatchedMessenger, settings: SandboxSettings) -> web.Application:
    """Return the sandbox with faults and `/admin`."""
    app = application(messenger, FaultyRoutes(messenger), settings)
    app.add_routes(AdminRoutes(messenger).routes())
    return app


@asynccontextmanager
async def serving(
    settings: SandboxSettings, clock: Callable[[], float] = time.time
) -> AsyncIterator[str]:
    """Serve it inside the block, at the address that it gives."""
    world = World(accounts(settings), settings.sandbox_people, first_id=int(clock()))
    messenger = WatchedMessenger(world, clock, FloodLimit(settings.sandbox_rate_limit))
    app = watched_application(messenger, settings)
    async with listening(app, settings.sandbox_host, settings.sandbox_port) as url:
        yield url
        messenger.close()
