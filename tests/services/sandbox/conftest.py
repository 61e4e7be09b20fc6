"""A real sandbox on a free port, driven by real aiogram bots and an HTTP client."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiogram import Bot, exceptions
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup

from services.sandbox.settings import SandboxSettings, sandbox_token
from tests.conftest import PATIENCE
from tests.services.sandbox.admin_routes import serving

BOTS = ("avtobus", "polkson")
TOKENS = {name: sandbox_token(name) for name in BOTS}
AVTOBUS = int(TOKENS["avtobus"].partition(":")[0])
GROUP_ID = -1_001_000_000_001
NOON = 1_760_000_000
ANYA = 7_000_001


@dataclass
class Sandbox:
    """A running sandbox, a bot for each token, and a client of the page's API."""

    url: str
    http: aiohttp.ClientSession
    avtobus: Bot
    polkson: Bot
    end: Callable[[], Awaitable[None]]

    async def post(self, path: str, body: object, status: int = 200) -> Any:
        async with self.http.post(self.url + path, json=body) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            assert answer.status == 200
            return await answer.json()

    async def say(self, text: str, chat: str = "group", person: str = "Аня", **more: Any) -> Any:
        body = {"chat": chat, "person": person, "text": text, **more}
        return await self.post("/api/messages", body, 201)

    async def send(self, text: str, **more: Any) -> Any:
        """Let avtobus write in the group."""
        return await self.avtobus.send_message(GROUP_ID, text, **more)

    async def explain(self, message_id: int, reason: str, **lists: object) -> None:
        """Let avtobus tell why it said a message of the group, or what it made of one."""
        told = {"turns": [], "draws": [], **lists}
        form = {"chat_id": GROUP_ID, "message_id": message_id, "reason": reason}
        form |= {name: json.dumps(each) for name, each in told.items()}
        url = f"{self.url}/bot{TOKENS['avtobus']}/explain"
        async with self.http.post(url, data=form) as answer:
            assert answer.status == 200, await answer.text()

    async def sent(self) -> list[str]:
        """The texts that the bots have sent."""
        return [entry["text"] for entry in (await self.get("/admin/log"))["sent"]]

    async def refuses(self, path: str, body: object, words: str) -> None:
        assert words in (await self.post(path, body, 400))["description"]

    async def fault(self, kind: str, **more: Any) -> int:
        """Switch a fault on; returns its number."""
        body = {"on": {"kind": kind, **more}}
        return int((await self.post("/admin/faults", body))["id"])

    async def polled(self, *names: str) -> None:
        """Wait until the long polls of these bots are at the server."""
        await polled(self.http, self.url, *names)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Events of the page, once it listens."""
        async with self.http.get(f"{self.url}/events") as answer:
            while (await answer.content.readline()) != b": listening\n":
                pass

            async def read() -> AsyncIterator[dict[str, Any]]:
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])

            yield read()


def keyboard(*texts: str) -> InlineKeyboardMarkup:
    """A row of buttons; what a press gives is what stands on it."""
    row = [InlineKeyboardButton(text=text, callback_data=text) for text in texts]
    return InlineKeyboardMarkup(inline_keyboard=[row])


async def received(one: Bot) -> list[Any]:
    """Messages of the updates that wait for the bot; they are confirmed."""
    updates = await one.get_updates()
    if updates:
        await one.get_updates(offset=updates[-1].update_id + 1)
    return [m for update in updates if (m := update.message or update.edited_message)]


async def refused(call: Awaitable[object], words: str) -> None:
    with pytest.raises(exceptions.TelegramBadRequest, match=words):
        await call


async def polled(http: aiohttp.ClientSession, url: str, *names: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.get(f"{url}/admin/log") as answer:
                if set((await answer.json())["polling"]) >= set(names):
                    return


def bot(url: str, name: str) -> Bot:
    session = AiohttpSession(api=TelegramAPIServer.from_base(url))
    return Bot(TOKENS.get(name, name), session=session)


@asynccontextmanager
async def running(
    clock: Callable[[], float] = lambda: NOON, bots: Iterable[str] = BOTS, **settings: object
) -> AsyncIterator[Sandbox]:
    forever = aiohttp.ClientTimeout(total=None)
    async with AsyncExitStack() as server, aiohttp.ClientSession(timeout=forever) as http:
        wanted = sandbox_settings(bots, **settings)
        url = await server.enter_async_context(serving(wanted, clock))
        avtobus, polkson = (bot(url, name) for name in BOTS)
        yield Sandbox(url, http, avtobus, polkson, server.aclose)
        for one in (avtobus, polkson):
            await closed(one)


def sandbox_settings(bots: Iterable[str] = BOTS, **changes: object) -> SandboxSettings:
    """On a free port, with the tokens that tests know."""
    tokens = ",".join(f"{name}={TOKENS[name]}" for name in bots)
    own = {"sandbox_port": 0, "sandbox_tokens": tokens}
    return SandboxSettings.model_validate(own | changes)


async def closed(one: Bot) -> None:
    """Close the session without the quarter of a second that TLS would need."""
    if isinstance(one.session, AiohttpSession) and one.session._session:
        await one.session._session.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
async def untouched() -> AsyncIterator[Sandbox]:
    """One sandbox for all tests that leave it as it was."""
    async with running() as sandbox:
        yield sandbox
