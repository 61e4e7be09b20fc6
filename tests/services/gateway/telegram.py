"""A Bot API server of one bot, small: what the gateway calls, with faults to switch on."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "4242:SECRET-token_of-the-bot"  # noqa: S105
BOT_ID, USERNAME = 4242, "avtobus_bot"
Fault = Callable[[str, dict[str, str]], "web.Response | None"]
Slow = Callable[[str, dict[str, str]], Awaitable[None]]


def failure(code: int, text: str, **parameters: int) -> web.Response:
    body = {"ok": False, "error_code": code, "description": text, "parameters": parameters}
    return web.json_response(body, status=code)


def only(method: str, chat: int, code: int, text: str, **parameters: int) -> Fault:
    """A fault of one method in one chat."""

    def fault(called: str, values: dict[str, str]) -> web.Response | None:
        hit = called == method and values.get("chat_id") == str(chat)
        return failure(code, text, **parameters) if hit else None

    return fault


def of(method: str, code: int, text: str, **parameters: int) -> Fault:
    return lambda called, _: failure(code, text, **parameters) if called == method else None


@dataclass
class FakeTelegram:
    """Updates wait until an offset confirms them; `sent` is what people see."""

    url: str = ""
    updates: list[dict[str, Any]] = field(default_factory=list)
    sent: list[dict[str, str]] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    offsets: list[int | None] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    redrawn: list[dict[str, str]] = field(default_factory=list)
    told: list[dict[str, str]] = field(default_factory=list)
    menus: dict[str, list[str]] = field(default_factory=dict)
    administrators: set[int] = field(default_factory=set)
    fault: Fault | None = None
    slow: Slow | None = None
    lose_answers: int = 0
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def reset(self) -> None:
        logs = (self.updates, self.sent, self.actions, self.calls, self.offsets, self.deleted)
        for each in (*logs, self.redrawn, self.told):
            each.clear()
        self.administrators = set()
        self.slow = None
        self.fault, self.lose_answers = None, 0

    def put(self, *messages: dict[str, Any]) -> None:
        """People write."""
        for message in messages:
            self.updates.append({"update_id": next(self._ids), "message": message})
        self._news.set()

    def put_raw(self, **update: Any) -> None:
        """Something else than a new message happens."""
        self.updates.append({"update_id": next(self._ids), **update})
        self._news.set()

    def texts(self, chat: int | None = None) -> list[str]:
        return [each["text"] for each in self.sent if chat in (None, int(each["chat_id"]))]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        method, data = request.match_info["method"], dict(await request.post())
        values = {key: str(value) for key, value in data.items()}
        self.calls.append(method)
        if request.match_info["token"] != TOKEN:
            return failure(401, "Unauthorized")
        if self.slow:
            await self.slow(method, values)
        if self.fault and (answer := self.fault(method, values)) is not None:
            return answer
        result = await getattr(self, f"_{method}")(values)
        if method == "sendMessage" and self.lose_answers:
            self.lose_answers -= 1
            return drop(request)
        return web.json_response({"ok": True, "result": result})

    async def _getMe(self, _values: dict[str, str]) -> object:  # noqa: N802
        me = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}
        return {**me, "can_read_all_group_messages": True}

    async def _deleteWebhook(self, _values: dict[str, str]) -> object:  # noqa: N802
        return True

    async def _getUpdates(self, values: dict[str, str]) -> object:  # noqa: N802
        offset = int(values["offset"]) if "offset" in values else None
        self.offsets.append(offset)
        if offset is not None:
            self.updates = [each for each in self.updates if each["update_id"] >= offset]
        if not self.updates:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), 0.05)
            except TimeoutError:
                return []
        return self.updates[:100]

    async def _sendMessage(self, values: dict[str, str]) -> object:  # noqa: N802
        self.sent.append(values)
        chat = int(values["chat_id"])
        return {
            "message_id": 500_000 + len(self.sent),
            "date": 1_800_000_000,
            "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup"},
            "text": values["text"],
        }

    async def _sendChatAction(self, values: dict[str, str]) -> object:  # noqa: N802
        self.actions.append(values)
        return True

    async def _setMyCommands(self, values: dict[str, str]) -> object:  # noqa: N802
        scope = json.loads(values["scope"])["type"]
        self.menus[scope] = [each["command"] for each in json.loads(values["commands"])]
        return True

    async def _deleteMessage(self, values: dict[str, str]) -> object:  # noqa: N802
        self.deleted.append(int(values["message_id"]))
        return True

    async def _editMessageReplyMarkup(self, values: dict[str, str]) -> object:  # noqa: N802
        self.redrawn.append(values)
        return True

    async def _answerCallbackQuery(self, values: dict[str, str]) -> object:  # noqa: N802
        self.told.append(values)
        return True

    async def _getChatMember(self, values: dict[str, str]) -> object:  # noqa: N802
        user = {"id": int(values["user_id"]), "is_bot": False, "first_name": "Нина"}
        if user["id"] not in self.administrators:
            return {"status": "member", "user": user}
        return {"status": "creator", "user": user, "is_anonymous": False}


def drop(request: web.Request) -> web.StreamResponse:
    """Break the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def fake_telegram() -> AsyncIterator[FakeTelegram]:
    fake = FakeTelegram()
    async with serving(fake):
        yield fake


@asynccontextmanager
async def serving(fake: FakeTelegram) -> AsyncIterator[None]:
    """Over HTTP on a free port, inside the block."""
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", fake.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield
    await runner.cleanup()


_message_ids = itertools.count(1)


def person(user_id: int = 7, **more: Any) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Нина", **more}


def another_bot(user_id: int = 9, **more: Any) -> dict[str, Any]:
    return {"id": user_id, "is_bot": True, "first_name": "Полксон", **more}


def private(text: str | None, user_id: int = 7, **more: Any) -> dict[str, Any]:
    """A message in the private chat with a person."""
    chat = {"id": user_id, "type": "private"}
    return _message(text, {"chat": chat, "from": person(user_id), **more})


def group(
    text: str | None, chat: int = -100, sender: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A message in a group."""
    where = {"id": chat, "type": "supergroup", "title": "Салон"}
    return _message(text, {"chat": where, "from": sender or person(), **more})


def _message(text: str | None, more: dict[str, Any]) -> dict[str, Any]:
    said = {} if text is None else {"text": text}
    return {"message_id": next(_message_ids), "date": 1_800_000_000, **said, **more}


def entity(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    """An entity over the part of the text, in UTF-16 units as Telegram counts."""
    offset = len(text[: text.index(part)].encode("utf-16-le", "surrogatepass")) // 2
    length = len(part.encode("utf-16-le", "surrogatepass")) // 2
    return {"type": kind, "offset": offset, "length": length, **more}


def as_json(value: str) -> Any:
    return json.loads(value)
