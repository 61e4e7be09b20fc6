"""Teaching on the page: exports come in, and what is taught is told.

PUT  /api/teaching/exports?name=…   the file as it is; answers the bot without a name, `draft-…`
GET  /api/teaching                  everything that the page shows
POST /api/teaching/install          {}; install what training needs
POST /api/teaching/name             {"bot", "name", "persona", "called"}
POST /api/teaching/learn            {"bot", "base"}; begin or go on; base may be left out
POST /api/teaching/stop             {"bot"}
POST /api/teaching/delete           {"bot"}
POST /api/teaching/file             {"bot", "text"}; a new bot.yaml
GET  /api/teaching/reports/…        of a bot: its data set's, or its evaluation's
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from pydantic import Field

from contracts.refusal import Refusal, parse
from services.sandbox.errors import ApiError
from services.sandbox.page_routes import Body
from services.sandbox.taught_bots import EXPORT, REPORTS
from services.sandbox.teacher import Teacher
from telemetry.job import FULL

CHUNK = 1 << 20
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
B = TypeVar("B", bound=Body)


class Install(Body):
    pass


class OfBot(Body):
    bot: str


class Name(OfBot):
    name: str
    persona: list[str] = Field(min_length=1)
    called: tuple[str, ...] = ()


class Learn(OfBot):
    base: str | None = None


class File(OfBot):
    text: str


class TeachingRoutes:
    """most_bytes  of an export"""

    def __init__(self, teacher: Teacher, most_bytes: int) -> None:
        self._teacher = teacher
        self._most_bytes = most_bytes

    def routes(self) -> list[web.RouteDef]:
        teacher = self._teacher

        async def install(_: Install) -> None:
            teacher.packages.install()

        return [
            web.put("/api/teaching/exports", self._store),
            web.get("/api/teaching", self._view),
            web.get("/api/teaching/reports/{bot}/{report}", self._report),
            _post("install", Install, install),
            _post("name", Name, lambda b: teacher.name(b.bot, b.name, b.persona, b.called)),
            _post("learn", Learn, lambda b: teacher.learn(b.bot, b.base)),
            _post("stop", OfBot, lambda b: teacher.stop(b.bot)),
            _post("delete", OfBot, lambda b: teacher.delete(b.bot)),
            _post("file", File, lambda b: teacher.change_file(b.bot, b.text)),
        ]

    async def _view(self, _: web.Request) -> web.Response:
        view = await asyncio.to_thread(self._teacher.view)
        return web.json_response({**view, "mostBytes": self._most_bytes})

    async def _store(self, request: web.Request) -> web.Response:
        """Store an export as it comes; where that fails nothing of it stays."""
        bots = self._teacher.bots
        name = Path(request.query.get("name", "")).name or EXPORT
        if (request.content_length or 0) > self._most_bytes:
            raise self._too_large()
        try:
            with bots.new_draft(name) as (draft, path):
                await self._receive(request, path)
        except OSError as error:
            if error.errno in FULL:
                raise ApiError(507, f"{bots.volumes.data_dir}: no room for the export") from None
            raise
        self._teacher.go(draft)
        return web.json_response({"bot": draft}, status=201)

    async def _receive(self, request: web.Request, path: Path) -> None:
        size = 0
        with path.open("wb") as file:
            async for chunk in request.content.iter_chunked(CHUNK):
                size += len(chunk)
                if size > self._most_bytes:
                    raise self._too_large()
                await asyncio.to_thread(file.write, chunk)

    def _too_large(self) -> ApiError:
        return ApiError(413, f"an export has at most {self._most_bytes} bytes")

    async def _report(self, request: web.Request) -> web.FileResponse:
        bot, report = request.match_info["bot"], request.match_info["report"]
        self._teacher.bots.read(bot)
        path = self._teacher.bots.folder(bot) / REPORTS.get(report, "none")
        if not path.is_file():
            raise ApiError(404, "no such report")
        return web.FileResponse(path, headers={"content-security-policy": REPORT_POLICY})


def _post(name: str, body: type[B], act: Callable[[B], Awaitable[str | None]]) -> web.RouteDef:
    """Make a route that does what its body says."""

    async def handle(request: web.Request) -> web.Response:
        asked = parse(body, await request.json(), name)
        begun = asyncio.ensure_future(act(asked))
        begun.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:  # what has begun goes on, though the page is closed meanwhile, and nobody hears of it
            done = await asyncio.shield(begun)
        except OSError as error:
            raise Refusal(f"{error.filename}: cannot be written ({error.strerror})") from None
        return web.json_response({"bot": done})

    return web.post(f"/api/teaching/{name}", handle)
