"""`/admin`: how tests switch faults on, edit what people wrote, and see what the bots sent.

POST /admin/faults   see `FaultSwitch`
POST /admin/edit     {"chat", "person", "message", "text"}
GET /admin/log       see `_log`
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import starmap
from typing import Literal

from aiohttp import web

from services.sandbox.messages import Event, view
from services.sandbox.page_routes import Body, PersonAction, post
from services.sandbox.rooms import Draft
from services.sandbox.server import account, application, listening
from services.sandbox.settings import SandboxSettings
from services.sandbox.world import World
from tests.services.sandbox.faults import Fault
from tests.services.sandbox.watched import FaultyRoutes, WatchedMessenger


class FaultSwitch(Body):
    """`{"on": {fault}}`, `{"off": id}` or `{"off": "all"}`."""

    on: Fault | None = None
    off: int | Literal["all"] | None = None


class Edit(PersonAction):
    message: int
    text: str


class AdminRoutes:
    def __init__(self, messenger: WatchedMessenger) -> None:
        self._messenger = messenger

    def routes(self) -> list[web.RouteDef]:
        return [
            post("/admin/faults", FaultSwitch, self._switch),
            post("/admin/edit", Edit, self._edit),
            web.get("/admin/log", self._log),
        ]

    def _switch(self, body: FaultSwitch) -> Event:
        faults = self._messenger.faults
        if body.off == "all":
            faults.active.clear()
        elif body.off is not None:
            faults.active.pop(body.off, None)
        return {"id": faults.switch_on(body.on) if body.on else None}

    def _edit(self, body: Edit) -> Event:
        person = self._messenger.world.person(body.person)
        room = self._messenger.world.room_of_person(body.chat, person)
        return view(room.key, self._messenger.edit(room, person, body.message, Draft(body.text)))

    async def _log(self, _: web.Request) -> web.Response:
        """Answer what the bots did, and what is in their way:

        sent           messages of bots, in order; `at` is the clock's
        answered       answers to presses: {room, bot, person, query, text, alert}
        polling        bots whose long poll waits now
        faults         the faults that are switched on; `times` is how often each has yet to strike
        """
        messenger = self._messenger
        bots, active = messenger.world.bots.values(), messenger.faults.active
        return web.json_response(
            {
                "sent": messenger.sent,
                "answered": messenger.answered,
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
    world = World(starmap(account, settings.tokens.items()), first_id=int(clock()))
    messenger = WatchedMessenger(world, clock)
    app = watched_application(messenger, settings)
    async with listening(app, settings.sandbox_host, settings.sandbox_port) as url:
        yield url
        messenger.close()
