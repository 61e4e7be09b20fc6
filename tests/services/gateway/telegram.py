"""Telegram for the gateway: the sandbox's Bot API with one bot, what is called, and its faults."""

import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiogram.types import Chat, ChatMemberMember, ChatMemberOwner, Message, User
from aiohttp import web

from services.sandbox.messenger import Press
from services.sandbox.rooms import BotAccount, Draft, Room
from services.sandbox.server import answer_errors, listening
from services.sandbox.update_queue import QueuedUpdate
from services.sandbox.world import Member, World
from tests.services.sandbox.faults import Call, Fault
from tests.services.sandbox.watched import FaultyRoutes, WatchedMessenger

TOKEN = "4242:SECRET-token_of-the-bot"  # noqa: S105
BOT_ID, USERNAME = 4242, "avtobus_bot"
SELF = {"id": BOT_ID, "is_bot": True, "first_name": "Автобус", "username": USERNAME}
FIRST_SENT = 500_001
"""The id of the bot's first message in each chat."""
BOT = BotAccount("avtobus", TOKEN, User.model_validate(SELF))


def of(
    method: str, code: int, text: str = "no", chat: int | None = None, **parameters: int
) -> Fault:
    """A fault of one method, in one chat or in all."""
    more = {"code": code, "description": text, "parameters": parameters}
    return Fault.model_validate({"kind": "error", "method": method, "chat": chat, **more})


def instead(method: str, result: object, after: bool = False) -> Fault:
    """Another result than the method has; `after`: though it takes effect."""
    return Fault(kind="result", method=method, result=result, after=after)


@dataclass
class OpenRoom(Room):
    """A chat in which the bot may write, and that has every message but what was deleted."""

    deleted: set[int] = field(default_factory=set)

    def check_started(self) -> None: ...

    def _replied_to(self, draft: Draft) -> Message | None:
        lenient = draft.lenient or draft.reply_to not in self.deleted
        return super()._replied_to(replace(draft, lenient=lenient))


class OpenWorld(World):
    """A world with every chat and person that a bot or an update names."""

    def __init__(self) -> None:
        super().__init__([BOT], 999)
        self.administrators: set[int] = set()
        self.open_rooms: dict[int, OpenRoom] = {}

    def room_of_bot(self, chat_id: int | str | None, bot: BotAccount) -> OpenRoom:
        number = int(chat_id or 0)
        if number not in self.open_rooms:
            chat = Chat(id=number, type="private" if number > 0 else "supergroup")
            self.open_rooms[number] = OpenRoom(str(number), chat, [bot], FIRST_SENT - 1)
        return self.open_rooms[number]

    def member(self, room: Room, user_id: int) -> Member:
        user = User(id=user_id, is_bot=False, first_name="Нина")
        if user_id in self.administrators:
            return ChatMemberOwner(user=user, is_anonymous=False)
        return ChatMemberMember(user=user)


def _done(method: str) -> Any:
    """Make a property: the parameters of this method's calls that took effect."""
    return property(lambda self: [c.parameters for c in self._of(method) if c.took_effect])


class FakeTelegram:
    """Updates wait until an offset confirms them; `sent` is what people see."""

    def __init__(self) -> None:
        self.url = ""
        self._begin()

    def reset(self) -> None:
        """Begin anew: nothing said, nothing called, no faults."""
        self.messenger.close()
        self._begin()

    def _begin(self) -> None:
        self.world = OpenWorld()
        self.messenger = WatchedMessenger(self.world, time.time, longest_poll=0.05)
        self.messenger.on_call = self._note
        self._routes = FaultyRoutes(self.messenger)
        self._fault: Fault | None = None
        self._fault_id = 0
        self.received: list[Call] = []
        self.on_call: Callable[[Call], None] = lambda _: None

    def close(self) -> None:
        self.messenger.close()

    async def answer(self, request: web.Request) -> web.Response:
        return await self._routes.answer(request)

    def put(self, *messages: dict[str, Any]) -> None:
        """People write."""
        for message in messages:
            self.put_raw(message=message)

    def put_raw(self, **update: Any) -> None:
        """Something else than a new message happens."""
        if isinstance(query := update.get("callback_query"), dict):
            press = Press(self.world.group, BOT, self.world.owner.id)
            self.messenger.presses[str(query.get("id"))] = press
        self.messenger.queues[TOKEN].put_raw(update)

    @property
    def updates(self) -> deque[QueuedUpdate]:
        """What is not confirmed yet."""
        return self.messenger.queues[TOKEN].pending

    @property
    def administrators(self) -> set[int]:
        return self.world.administrators

    @property
    def fault(self) -> Fault | None:
        """The fault that lasts until another or None takes its place."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self.messenger.faults.active.pop(self._fault_id, None)
        self._fault, self._fault_id = fault, self.messenger.faults.switch_on(fault) if fault else 0

    @property
    def calls(self) -> list[str]:
        """The methods called, whatever became of the calls."""
        return [call.method for call in self.received]

    @property
    def offsets(self) -> list[int | None]:
        given = [call.parameters.get("offset") for call in self._of("getUpdates")]
        return [None if offset is None else int(offset) for offset in given]

    sent = _done("sendMessage")
    actions = _done("sendChatAction")
    keyboards = _done("editMessageReplyMarkup")
    press_answers = _done("answerCallbackQuery")
    deletions = _done("deleteMessage")
    _menus = _done("setMyCommands")

    @property
    def menus(self) -> dict[str, set[str]]:
        """Commands by scope."""
        return {
            each["scope"]["type"]: {entry["command"] for entry in each["commands"]}
            for each in self._menus
        }

    def texts(self, chat: int | None = None) -> list[str]:
        return [each["text"] for each in self.sent if chat in (None, int(each["chat_id"]))]

    def _note(self, call: Call) -> None:
        self.received.append(call)
        self.on_call(call)

    def _of(self, method: str) -> list[Call]:
        return [call for call in self.received if call.method == method]


@asynccontextmanager
async def fake_telegram() -> AsyncIterator[FakeTelegram]:
    fake = FakeTelegram()
    async with serving(fake):
        yield fake


@asynccontextmanager
async def serving(fake: FakeTelegram) -> AsyncIterator[None]:
    """Over HTTP on a free port, inside the block."""
    app = web.Application(middlewares=[answer_errors])
    app.router.add_post("/bot{token}/{method}", fake.answer)
    async with listening(app, "127.0.0.1", 0) as fake.url:
        yield
        fake.close()


_message_ids = itertools.count(1)
PHOTO: dict[str, Any] = {
    "photo": [{"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}]
}
ALBUM: dict[str, Any] = {**PHOTO, "media_group_id": "9"}


def person(user_id: int = 7, **more: Any) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Нина", **more}


def another_bot(user_id: int = 9, **more: Any) -> dict[str, Any]:
    return {"id": user_id, "is_bot": True, "first_name": "Полксон", **more}


def topic(number: int) -> dict[str, Any]:
    """Fields of a message in a forum topic."""
    return {"is_topic_message": True, "message_thread_id": number}


def own(text: str, chat: int = -100) -> dict[str, Any]:
    """A message of the bot's own, for people to answer."""
    return group(text, chat, SELF, message_id=FIRST_SENT, date=1)


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
