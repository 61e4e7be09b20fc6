"""What people do: join, write, edit, press buttons. The page and tests ask for it.

In every body `chat` is `group` or a bot's name, `person` an id or a name, and `message` the id of
a message in that chat.

    POST /api/people      {"name"}; a name known already is the same person
    POST /api/messages    see `Written`
    POST /api/edit        {"chat", "person", "message", "text"}; text is the caption of media
    POST /api/press       {"chat", "person", "message", "data"}; answers the callback query's id
"""

from typing import Self

from aiogram.types import User
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.refusal import parse
from services.sandbox.content import Media
from services.sandbox.exchange import Exchange
from services.sandbox.rooms import Draft, Room
from services.sandbox.view import view


class _Deed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    chat: str
    person: int | str


class Written(_Deed):
    """A message: `text`, or `media`, with a `caption` and an `album` if wished.

    media       `sticker`, `voice` or `photo`; Telegram gives stickers no caption
    album       the media_group_id that photos of one album have in common
    anonymous   written in the group's name; for its administrators
    """

    text: str = ""
    reply_to: int | None = None
    thread: int | None = None
    media: Media | None = None
    caption: str = ""
    album: str | None = Field(default=None, min_length=1)
    anonymous: bool = False

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.media and self.text:
            raise ValueError("media has a caption, not a text")
        if not self.media and (self.caption or self.album):
            raise ValueError("caption and album go with media")
        return self

    def draft(self) -> Draft:
        return Draft(
            self.caption if self.media else self.text,
            self.reply_to,
            self.thread,
            media=self.media,
            album=self.album,
            anonymous=self.anonymous,
        )


class Edited(_Deed):
    message: int
    text: str


class Pressed(_Deed):
    message: int
    data: str


class Person(BaseModel):
    name: str = Field(min_length=1, max_length=64)


class PeopleRoutes:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._world = exchange, exchange.world

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/people", self._join),
            web.post("/api/messages", self._write),
            web.post("/api/edit", self._edit),
            web.post("/api/press", self._press),
        ]

    def _where(self, deed: _Deed) -> tuple[Room, User]:
        person = self._world.person(deed.person)
        return self._world.room_of_person(deed.chat, person), person

    async def _join(self, request: web.Request) -> web.Response:
        asked = parse(Person, await request.json(), "person")
        person = self._exchange.person_joins(asked.name)
        return web.json_response({"id": person.id, "name": person.first_name}, status=201)

    async def _write(self, request: web.Request) -> web.Response:
        written = parse(Written, await request.json(), "message")
        room, person = self._where(written)
        message = self._exchange.person_says(room, person, written.draft())
        return web.json_response(view(room, message), status=201)

    async def _edit(self, request: web.Request) -> web.Response:
        asked = parse(Edited, await request.json(), "edit")
        room, person = self._where(asked)
        message = self._exchange.person_edits(room, person, asked.message, asked.text)
        return web.json_response(view(room, message))

    async def _press(self, request: web.Request) -> web.Response:
        asked = parse(Pressed, await request.json(), "press")
        room, person = self._where(asked)
        query = self._exchange.person_presses(room, person, asked.message, asked.data)
        return web.json_response({"id": query})
