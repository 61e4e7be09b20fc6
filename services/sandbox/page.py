"""The web page, and what it reads: the whole state, and events.

Events reach the page over server-sent events; it asks for the whole state when it (re)connects.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

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

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._index),
            Route("/events", self._events),
            Route("/api/state", self._state),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def _index(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"content-security-policy": POLICY})

    async def _state(self, _: Request) -> JSONResponse:
        rooms = self._world.rooms.values()
        return JSONResponse(
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

    async def _events(self, _: Request) -> Response:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        async with self._exchange.watching() as events:
            yield "retry: 1000\n: listening\n\n"
            while (event := await events.get()) is not None:
                yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
