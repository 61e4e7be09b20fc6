"""The demo's page, in the demo's own process: bots that are taught on it join it, and leave."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from services.sandbox.demo_processes import Gateways
from services.sandbox.messenger import Messenger
from services.sandbox.server import account, serving
from services.sandbox.settings import SandboxSettings, sandbox_token
from services.sandbox.taught_bots import TaughtBots
from services.sandbox.teacher import Teacher
from services.sandbox.teaching_routes import TeachingRoutes


class Stage:
    """The page's messenger, and the gateways that serve its bots."""

    def __init__(self, messenger: Messenger, gateways: Gateways) -> None:
        self._messenger, self._gateways = messenger, gateways
        self._changing = asyncio.Lock()

    async def join(self, bot: str) -> None:
        """Serve a bot; one that is served already reads its file anew."""
        async with self._changing:
            known = [one for one in self._messenger.world.bots.values() if one.name == bot]
            one = known[0] if known else account(bot, sandbox_token(bot))
            if not known:
                self._messenger.add_bot(one)
            await self._gateways.end(bot)
            await self._gateways.start(bot, one.token, is_guest=True)

    async def leave(self, bot: str) -> None:
        async with self._changing:
            await self._gateways.end(bot)
        for one in [*self._messenger.world.bots.values()]:
            if one.name == bot:
                self._messenger.remove_bot(one)


@asynccontextmanager
async def hosting(
    settings: SandboxSettings, gateways: Gateways, bots: TaughtBots | None, most_bytes: int
) -> AsyncIterator[str]:
    """Serve the page inside the block, and yield its address.

    bots        those who are taught; None where nobody can be
    most_bytes  of an export
    """
    if bots is None:
        async with serving(settings) as page:
            yield page
        return
    teachers = list[Teacher]()

    def teaching(messenger: Messenger) -> Iterable[web.AbstractRouteDef]:
        stage = Stage(messenger, gateways)
        teachers.append(Teacher(bots, gateways.demo.environment, stage.join, stage.leave))
        return TeachingRoutes(teachers[0], most_bytes).routes()

    async with serving(settings, teaching) as page:
        [teacher] = teachers
        try:
            await teacher.resume()
            yield page
        finally:
            await teacher.close()
