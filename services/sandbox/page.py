"""The web page and the small JSON API behind it: people write here.

Events reach the page over server-sent events; it asks for the whole state when it (re)connects.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from contracts.refusal import parse
from services.sandbox.exchange import Exchange, view
from services.sandbox.world import GROUP, GROUP_TITLE, Draft

STATIC = Path(__file__).with_name("static")
POLICY = "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
_EMOJI = "🚌🐘🦉🐙🦊🐝"


class Written(BaseModel):
    """`chat` is `group` or a bot's name; `person` an id or a name."""

    model_config = ConfigDict(extra="forbid")

    chat: str
    person: int | str
    text: str
    reply_to: int | None = None
    thread: int | None = None


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=64)


class PageRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._world = exchange, exchange.world

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._index),
            Route("/events", self._events),
            Route("/api/state", self._state),
            Route("/api/messages", self._write, methods=["POST"]),
            Route("/api/people", self._join, methods=["POST"]),
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

    async def _write(self, request: Request) -> JSONResponse:
        written = parse(Written, await request.json(), "message")
        person = self._world.person(written.person)
        room = self._world.room_of_person(written.chat, person)
        draft = Draft(written.text, written.reply_to, written.thread)
        return JSONResponse(view(room, self._exchange.person_says(room, person, draft)), 201)

    async def _join(self, request: Request) -> JSONResponse:
        asked = parse(Person, await request.json(), "person")
        person = self._exchange.person_joins(asked.name)
        return JSONResponse({"id": person.id, "name": person.first_name}, 201)

    async def _events(self, _: Request) -> Response:
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[str]:
        async with self._exchange.watching() as events:
            yield "retry: 1000\n: listening\n\n"
            while (event := await events.get()) is not None:
                yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
