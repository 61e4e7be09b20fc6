"""The web page, and what it reads: the whole state, and events.

Events reach the page over server-sent events; it asks for the whole state when it (re)connects.
"""

import json
from pathlib import Path

from aiohttp import web

from services.sandbox.exchange import Exchange
from services.sandbox.rooms import GROUP
from services.sandbox.view import view
from services.sandbox.world import GROUP_TITLE

STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
_EMOJI = "🚌🐘🦉🐙🦊🐝"


class PageRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._world = exchange, exchange.world

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self._index),
            web.get("/events", self._events),
            web.get("/api/state", self._state),
            web.static("/static", STATIC),
        ]

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html", headers={"content-security-policy": POLICY})

    async def _state(self, _: web.Request) -> web.Response:
        rooms = self._world.rooms.values()
        return web.json_response(
            {
                "bots": [
                    {
                        "id": bot.user.id,
                        "name": bot.name,
                        "title": bot.user.first_name,
                        "mention": bot.mention,
                        "emoji": _EMOJI[number % len(_EMOJI)],
                    }
                    for number, bot in enumerate(self._world.bots.values())
                ],
                "people": [
                    {
                        "id": person.id,
                        "name": person.first_name,
                        "owner": person == self._world.owner,
                    }
                    for person in self._world.people.values()
                ],
                "group": {"chat": GROUP, "title": GROUP_TITLE},
                "messages": [view(room, m) for room in rooms for m in room.messages.values()],
            }
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        headers = {"cache-control": "no-store", "content-type": "text/event-stream"}
        stream = web.StreamResponse(headers=headers)
        async with self._exchange.watching() as events:
            await stream.prepare(request)
            await stream.write(b"retry: 1000\n: listening\n\n")
            while (event := await events.get()) is not None:
                await stream.write(f"data: {json.dumps(event)}\n\n".encode())
        return stream
