"""The web page: its files, the state and the events that it reads, and what people do on it.

Events reach the page over server-sent events; it asks for the whole state when it (re)connects.

    POST /api/people      {"name"}; a name known already is the same person
    POST /api/messages    {"chat", "person", "text", "reply_to"}; reply_to may be left out
    POST /api/press       {"chat", "person", "message", "data"}; answers the callback query's id
    GET /api/why          ?chat&person&message; why each bot said the message, answered it or left
                          it, by its name, as far as it told
    GET /api/export       ?chat&person; the chat as Telegram Desktop exports it

In every body and query `chat` is `group` or a bot's name, `person` an id or a name, and `message`
the id of a message in that chat. Tests use the same routes.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from aiogram.types import User
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from contracts.refusal import parse
from services.sandbox.export import export
from services.sandbox.menus import AUDIENCES
from services.sandbox.messages import Event, view
from services.sandbox.messenger import Messenger
from services.sandbox.rooms import GROUP, Draft, Room
from services.sandbox.update_queue import dump
from services.sandbox.world import GROUP_TITLE

STATIC = Path(__file__).with_name("static")
INDEX = (STATIC / "index.html").read_text(encoding="utf-8")
_EMOJI = "🚌🐘🦉🐙🦊🐝"
B = TypeVar("B", bound="Body")


def policy(page: str) -> str:
    """Allow the page its own files and, by their hashes, the scripts in it: the import map."""
    inline = re.findall(r"<script(?: type=[a-z\"]+)?>(.*?)</script>", page, re.DOTALL)
    hashes = [b64encode(sha256(each.encode()).digest()).decode() for each in inline]
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    rest = "img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    return f"default-src 'self'; script-src {scripts}; {rest}"


class Body(BaseModel):
    """The JSON of a request."""

    model_config = ConfigDict(extra="forbid")


class PersonAction(Body):
    chat: str
    person: int | str


class NewMessage(PersonAction):
    text: str
    reply_to: int | None = None


class Press(PersonAction):
    message: int
    data: str


class OneMessage(PersonAction):
    message: int


class NewPerson(Body):
    name: str = Field(min_length=1, max_length=64)


def post(path: str, body: type[B], act: Callable[[B], Event], status: int = 200) -> web.RouteDef:
    """Make a route that reads a body and answers what `act` returns."""

    async def handle(request: web.Request) -> web.Response:
        name = path.rpartition("/")[2]
        return web.json_response(act(parse(body, await request.json(), name)), status=status)

    return web.post(path, handle)


def get(path: str, query: type[B], act: Callable[[B], Event]) -> web.RouteDef:
    """Make a route that reads a query and answers what `act` returns."""

    async def handle(request: web.Request) -> web.Response:
        answer = act(parse(query, dict(request.query), path.rpartition("/")[2]))
        return web.json_response(answer, dumps=partial(json.dumps, ensure_ascii=False, indent=1))

    return web.get(path, handle)


class PageRoutes:
    def __init__(self, messenger: Messenger, has_teaching: bool = False) -> None:
        self._messenger, self._world = messenger, messenger.world
        self._has_teaching = has_teaching

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.get("/", self._index),
            web.get("/healthz", self._say_well),
            web.static("/static", STATIC),
            web.get("/events", self._events),
            web.get("/api/state", self._state),
            post("/api/people", NewPerson, self._join, status=201),
            post("/api/messages", NewMessage, self._write, status=201),
            post("/api/press", Press, self._press),
            get("/api/why", OneMessage, self._why),
            get("/api/export", PersonAction, lambda query: export(self._find(query)[0])),
        ]

    async def _index(self, _: web.Request) -> web.Response:
        headers = {"content-security-policy": policy(INDEX)}
        return web.Response(text=INDEX, content_type="text/html", headers=headers)

    async def _say_well(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        headers = {"cache-control": "no-store", "content-type": "text/event-stream"}
        stream = web.StreamResponse(headers=headers)
        async with self._messenger.watching() as events:
            await stream.prepare(request)
            await stream.write(b"retry: 1000\n: listening\n\n")
            while (event := await events.get()) is not None:
                await stream.write(f"data: {json.dumps(event)}\n\n".encode())
        return stream

    async def _state(self, _: web.Request) -> web.Response:
        world = self._world
        bots = [
            {
                "id": bot.user.id,
                "name": bot.name,
                "title": bot.user.first_name,
                "mention": bot.mention,
                "emoji": _EMOJI[number % len(_EMOJI)],
                "commands": {
                    audience: [dump(each) for each in world.menus[bot.token].seen(audience)]
                    for audience in AUDIENCES
                },
            }
            for number, bot in enumerate(world.bots.values())
        ]
        people = [
            {"id": person.id, "name": person.first_name, "owner": person == world.owner}
            for person in world.people.values()
        ]
        messages = [view(r.key, m) for r in world.rooms.values() for m in r.messages.values()]
        group = {"chat": GROUP, "title": GROUP_TITLE}
        state = {"bots": bots, "people": people, "group": group, "messages": messages}
        return web.json_response({**state, "teaching": self._has_teaching})

    def _join(self, body: NewPerson) -> Event:
        person = self._messenger.add_person(body.name)
        return {"id": person.id, "name": person.first_name}

    def _write(self, body: NewMessage) -> Event:
        room, person = self._find(body)
        draft = Draft(body.text, body.reply_to)
        return view(room.key, self._messenger.post(room, person, draft))

    def _press(self, body: Press) -> Event:
        return {"id": self._messenger.press(*self._find(body), body.message, body.data)}

    def _why(self, query: OneMessage) -> Event:
        return self._find(query)[0].explanations.get(query.message, {})

    def _find(self, body: PersonAction) -> tuple[Room, User]:
        person = self._world.person(body.person)
        return self._world.room_of_person(body.chat, person), person
