"""The sandbox with what tests need besides: faults, and a record of what bots did."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiogram.types import Chat, ChatMemberUpdated, ForumTopicCreated, Message, User
from aiohttp import web

from services.sandbox.bot_routes import BotRoutes, parameters, success
from services.sandbox.errors import ApiError, bad_request
from services.sandbox.messages import Event, view
from services.sandbox.messenger import Messenger
from services.sandbox.rooms import ANONYMOUS, GROUP, BotAccount, Draft, Room
from services.sandbox.world import GROUP_TITLE, member
from tests.services.sandbox.faults import Call, Fault, Faults

UPGRADED_ID = -1_002_000_000_000
_TOPIC_COLOR = 0x6FB9F0


class WatchedMessenger(Messenger):
    """Keeps what bots did, and does to the group what the page cannot.

    `on_call` gets each call of a bot as it arrives.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults = Faults()
        self.sent: list[Event] = []
        self.answered: list[Event] = []
        self.on_call: Callable[[Call], None] = lambda _: None

    def send(self, room: Room, bot: BotAccount, draft: Draft) -> Message:
        message = super().send(room, bot, draft)
        self.sent.append({"bot": bot.name, "chat": room.chat.id, **view(room.key, message)})
        return message

    def _publish(self, event: Event) -> None:
        super()._publish(event)
        if event["type"] == "answered":
            self.answered.append({key: value for key, value in event.items() if key != "type"})

    def expel(self, room: Room, bot: BotAccount, by: User, expelled: bool) -> None:
        """Block the bot or kick it out, or take it back; its own queue gets the change."""
        if (bot.name in room.expelled) == expelled:
            return
        (room.expelled.add if expelled else room.expelled.discard)(bot.name)
        change = ChatMemberUpdated(
            chat=room.chat,
            from_user=by,
            date=self.now(),
            old_chat_member=member(bot.user, not expelled),
            new_chat_member=member(bot.user, expelled),
        )
        self.queues[bot.token].put("my_chat_member", change)

    def promote(self, person: User, on: bool) -> None:
        """Make a person an administrator of the group, or no more."""
        if person == self.world.owner:
            raise bad_request("the creator is always an administrator")
        administrators = self.world.group.administrators
        (administrators.add if on else administrators.discard)(person.id)

    def open_topic(self, number: int, name: str) -> None:
        """Open a topic; its id is that of its first message, which says that it was opened."""
        room = self.world.group
        if number in room.messages or number in room.deleted:
            raise bad_request("message id is taken")
        room.chat = room.chat.model_copy(update={"is_forum": True})
        room.threads.add(number)
        room.topics[number] = room.add(
            self.world.owner,
            self.now(),
            number,
            message_thread_id=number,
            is_topic_message=True,
            forum_topic_created=ForumTopicCreated(name=name, icon_color=_TOPIC_COLOR),
        )
        self._deliver(room, room.topics[number])

    def delete_topic(self, number: int) -> None:
        """Delete a topic with its messages; bots get no update of it, as in Telegram."""
        room = self.world.group
        room.check_thread(number)
        room.threads.remove(number)
        room.topics.pop(number, None)
        room.deleted.add(number)
        for message in list(room.messages.values()):
            if message.message_thread_id == number:
                del room.messages[message.message_id]
                self._publish({"type": "deleted", "room": GROUP, "id": message.message_id})

    def migrate(self) -> Room:
        """Turn the group into a supergroup; the bots get a message of it in both chats.

        It has a new id, and nothing is written in it yet. Members, administrators and kicked bots
        stay. The new id counts from `first_id` too.
        """
        world, old, now = self.world, self.world.group, self.now()
        old_id, number = old.chat.id, UPGRADED_ID - world.first_id - len(world.upgraded)
        old.chat = old.chat.model_copy(update={"type": "group", "is_forum": None})
        world.upgraded[old_id] = number
        chat = Chat(id=number, type="supergroup", title=GROUP_TITLE)
        new = world.group = world.rooms[GROUP] = Room(GROUP, chat, old.bots, started=True)
        new.expelled, new.administrators = old.expelled, old.administrators
        self._deliver(old, old.add(world.owner, now, migrate_to_chat_id=number))
        self._deliver(new, new.add(ANONYMOUS, now, sender_chat=chat, migrate_from_chat_id=old_id))
        self._publish({"type": "migrated"})
        return new


class FaultyRoutes(BotRoutes):
    """The Bot API over HTTP, with the faults that are switched on."""

    def __init__(self, messenger: WatchedMessenger) -> None:
        super().__init__(messenger)
        self._messenger = messenger

    async def answer(self, request: web.Request) -> web.Response:
        token, method = request.match_info["token"], request.match_info["method"]
        bot = self._api.bot(token)
        self._api.check_known(method)
        call = Call(method, bot, await parameters(request))
        self._messenger.on_call(call)
        fault = self._messenger.faults.take(call)
        if fault and not fault.after and (answer := await self._strike(fault, request)):
            return answer
        result = await self._api.call(bot, method, call.parameters)
        call.took_effect = True
        if fault and fault.after and (answer := await self._strike(fault, request)):
            return answer
        return success(result)

    async def _strike(self, fault: Fault, request: web.Request) -> web.Response | None:
        """Return what is answered in place of the true answer; None: the true one is."""
        if fault.kind == "drop":
            if request.transport:
                request.transport.abort()
            return web.Response()  # which reaches nobody
        if fault.kind == "error":
            raise fault.error()
        if fault.kind == "result":
            return success(fault.result)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._messenger.closed.wait(), fault.seconds)
        if fault.kind == "hold":
            raise ApiError(504, "Gateway Timeout")
        return None
